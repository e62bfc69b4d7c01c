//! From connecting to the first state: who the hub is, who this participant is, each proved to the other over this very
//! connection; then the session as the hub signed it, and every line from there on.

use super::connect::{self, ConnectError, Socket};
use super::view::Link;
use super::{JoinError, Options, State};
use crate::clock;
use crate::event::Event;
use crate::identity::random_hex;
use crate::name::Principal;
use crate::protocol::{Binary, FromClient, FromHub, VERSIONS, hello_statement, join_statement};
use crate::session::Session;
use crate::transcript::record::Head;
use crate::trust::signer::Signer;
use crate::trust::sshsig;
use crate::trust::statement::Purpose;
use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};

/// From connecting to the first state; a person may have to find their security key and touch it.
const GREETING: Duration = Duration::from_secs(90);

pub(super) async fn say(socket: &mut Socket, message: &FromClient) -> Result<(), JoinError> {
    let text = serde_json::to_string(message).map_err(|error| JoinError::Protocol(error.to_string()))?;
    let sent = timeout(GREETING, socket.send(Message::text(text))).await;
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ConnectError::Lost(lost(&error)).into()),
        Err(_) => Err(ConnectError::Lost("the hub takes nothing".to_owned()).into()),
    }
}

pub(super) const BROKE_OFF: &str = "the connection broke off";

/// Why a connection ended. What a hub that died or a network that broke looks like has one name here; the libraries' words
/// for it are about frames and records.
pub(super) fn lost(error: &Error) -> String {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => BROKE_OFF.to_owned(),
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => BROKE_OFF.to_owned(),
        error => error.to_string(),
    }
}

async fn hear(socket: &mut Socket) -> Result<FromHub, JoinError> {
    loop {
        return match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => match Binary::decode(&bytes) {
                Ok(Binary::Message(FromHub::Refuse { reason, retry })) => {
                    Err(JoinError::Refused { reason: crate::name::shown(&reason), retry })
                }
                Ok(Binary::Message(message)) => Ok(message),
                Ok(Binary::Screen(_)) => continue,
                Err(error) => Err(JoinError::Protocol(error.to_string())),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map(|frame| crate::name::shown(frame.reason.as_str())).unwrap_or_default();
                Err(ConnectError::Lost(format!("the hub closed the connection {why}")).into())
            }
            Some(Ok(_)) => Err(JoinError::Protocol("a line before the welcome".to_owned())),
            Some(Err(error)) => Err(ConnectError::Lost(lost(&error)).into()),
            None => Err(ConnectError::Lost("the hub closed the connection".to_owned()).into()),
        };
    }
}

/// From nothing to a state: a fresh one from a snapshot, or `before` where the hub goes on from it.
pub(super) async fn greet(options: &Options, before: Option<&State>) -> Result<(Socket, State), JoinError> {
    match timeout(GREETING, greet_in_time(options, before)).await {
        Ok(greeted) => greeted,
        Err(_) => Err(ConnectError::Lost(format!("no welcome within {} s", GREETING.as_secs())).into()),
    }
}

async fn greet_in_time(options: &Options, before: Option<&State>) -> Result<(Socket, State), JoinError> {
    let (mut socket, channel) = connect::connect(&options.link, options.via.as_deref()).await?;
    let unexpected = |what: &FromHub| JoinError::Protocol(format!("{what:.80?} out of turn"));
    say(&mut socket, &FromClient::Knock { versions: VERSIONS.to_vec(), token: options.link.token.clone() }).await?;
    let (hub_key, known);
    let (session, named, hub_nonce) = match hear(&mut socket).await? {
        FromHub::Hello { version, session, principal, nonce, keys, hub_key: key, signature }
            if VERSIONS.contains(&version) =>
        {
            let statement = hello_statement(&channel, &session, &nonce, &key);
            let proof = sshsig::verify(&signature, Purpose::Hello.namespace(), statement.as_bytes());
            if !proof.is_ok_and(|proof| proof.key == key) {
                return Err(JoinError::Protocol("it does not prove the session's key over this very connection; somebody may be in between: do not go on".to_owned()));
            }
            hub_key = key;
            known = keys;
            (session, principal, nonce)
        }
        other => return Err(unexpected(&other)),
    };
    if session != options.link.session {
        let reason = "the hub at this address flies another session than the link names".to_owned();
        return Err(JoinError::Refused { reason, retry: false });
    }
    let signer = match before {
        Some(before) => before.signer.clone(),
        None => options.keys.choose(known.as_deref()).await?,
    };
    let public = signer.public();
    let chosen = options.name.clone().or_else(|| options.link.principal.clone());
    let principal = match (named, chosen) {
        (Some(named), Some(chosen)) if named != chosen => {
            let reason = format!("this personal link is for {named}, not for {chosen}");
            return Err(JoinError::Refused { reason, retry: false });
        }
        (Some(named), _) => named,
        // Observers choose a name; the hub marks it so that it can be nobody else's.
        (None, chosen) => {
            let digest = crate::hash::Hash::of(public.to_string().as_bytes()).to_string();
            let name = chosen.map_or_else(|| digest[..8].to_owned(), |name| name.short().to_owned());
            let name = name.strip_prefix("observer:").unwrap_or(&name);
            Principal::new(&format!("observer:{name}")).map_err(|error| JoinError::Protocol(error.to_string()))?
        }
    };
    let have = before.map(|state| state.head);
    let nonce = random_hex(32)?;
    let statement = join_statement(&channel, &session, &hub_nonce, &nonce, &principal, have);
    let auth = FromClient::Auth {
        key: public.to_string(),
        principal: principal.clone(),
        nonce,
        have,
        signature: sign(&signer, Purpose::Join, &statement).await?,
    };
    say(&mut socket, &auth).await?;
    let (role, at, head, upto, snapshot, from) = match hear(&mut socket).await? {
        FromHub::Welcome { role, at, head, upto, snapshot, from, .. } => (role, at, head, upto, snapshot, from),
        other => return Err(unexpected(&other)),
    };
    let hub_ahead_micros = at.micros() - clock::wall().micros();
    let link = Link::Live { rtt: Duration::ZERO };
    let kept = options.heads.as_deref().and_then(super::heads::kept);
    let state = |session, head| State {
        signer: signer.clone(),
        kept,
        me: principal,
        role,
        session,
        head,
        link,
        screen: None,
        dying: None,
        hub_ahead_micros,
    };
    match (snapshot, before) {
        (false, Some(before)) if from == before.head.seq + 1 && before.session.hub_key.as_ref() == Some(&hub_key) => {
            let mut state = state(before.session.clone(), before.head);
            state.screen = before.screen.clone();
            Ok((socket, state))
        }
        (true, Some(before)) => Err(JoinError::Fork(match head.seq < before.head.seq {
            true => format!("it ends at line {}, but it showed line {} before", head.seq, before.head.seq),
            false => format!("its line {} is not the one it showed before", before.head.seq),
        })),
        (true, None) if kept.is_some_and(|kept| kept.seq > upto) => Err(JoinError::Fork(format!(
            "it ends at line {upto}, and signed {} lines when this machine was here before",
            kept.map_or(0, |kept| kept.seq)
        ))),
        (true, None) => {
            let session = receive_snapshot(&mut socket, head).await?;
            if session.hub_key.as_ref() != Some(&hub_key) {
                return Err(JoinError::Protocol("its session is another key's, or nobody signs in it".to_owned()));
            }
            let mut state = state(session, head);
            catch_up(&mut socket, &mut state, upto).await?;
            Ok((socket, state))
        }
        (false, _) => Err(JoinError::Protocol("it goes on from a line nobody named".to_owned())),
    }
}

/// Reads every line from the snapshot, which ends where the hub has signed that it ends, to the one that was the last when
/// this client came. What it may be asked to sign lies in there, or comes later.
async fn catch_up(socket: &mut Socket, state: &mut State, upto: u64) -> Result<(), JoinError> {
    let lost = || JoinError::from(ConnectError::Lost("the hub closed the connection".to_owned()));
    let mut first = true;
    while state.head.seq < upto {
        match timeout(GREETING, socket.next()).await.map_err(|_| lost())? {
            Some(Ok(Message::Text(text))) => {
                let (line, _) = state.fold(text.as_str().as_bytes()).map_err(JoinError::Protocol)?;
                if std::mem::take(&mut first) && !matches!(line.event, Event::CheckpointSigned { .. }) {
                    return Err(JoinError::Protocol("it has not signed the state it begins with".to_owned()));
                }
            }
            Some(Ok(Message::Binary(bytes))) => {
                if let Ok(Binary::Screen(screen)) = Binary::decode(&bytes) {
                    state.screen = Some(Arc::new(screen));
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Err(lost()),
        }
    }
    Ok(())
}

async fn sign(signer: &Signer, purpose: Purpose, text: &str) -> Result<String, JoinError> {
    signer.sign(purpose.namespace(), text.as_bytes()).await.map_err(|error| JoinError::Signature(error.to_string()))
}

async fn receive_snapshot(socket: &mut Socket, expected: Head) -> Result<Session, JoinError> {
    /// Parts of one snapshot at most: 64 MiB, a hundred times the largest session that was ever seen.
    const PARTS_MAX: u32 = 1024;
    let mut text = String::new();
    let mut next = 0;
    loop {
        match hear(socket).await? {
            FromHub::Snapshot { head, part, parts, text: piece }
                if head == expected && part == next && parts <= PARTS_MAX =>
            {
                text.push_str(&piece);
                next += 1;
                if next == parts {
                    return serde_json::from_str(&text)
                        .map_err(|error| JoinError::Protocol(format!("its snapshot cannot be read: {error}")));
                }
            }
            other => return Err(JoinError::Protocol(format!("{other:.80?} out of turn"))),
        }
    }
}

//! What client and hub say to each other.
//!
//! A transcript line travels as one text message, LF included, byte for byte as it lies on disk. Everything else is a
//! binary message: one byte that says what it is, then JSON ([`FromHub`]) or a screen ([`Screen`]). A client's messages
//! are text, JSON of [`FromClient`]. In order: `Knock`, `Hello`, `Auth`, `Welcome` (or `Refuse`); then, where the client
//! holds no line that the hub can go on from, a snapshot in parts; then lines, answers and screens.

use crate::clock::At;
use crate::event::{Part, Role};
use crate::hash::Hash;
use crate::name::{Principal, StepId};
use crate::session::{Request, Session};
use crate::transcript::record::{Head, LINE_BYTES_MAX};
use crate::trust::key::PublicKey;
use crate::trust::statement::Signed;
use serde::{Deserialize, Serialize};

/// The versions of this protocol that this program speaks.
pub const VERSIONS: &[u32] = &[1];
/// The websocket subprotocol.
pub const SUBPROTOCOL: &str = "crosscheck.v1";
/// The path of the upgrade request.
pub const PATH: &str = "/v1";

/// Largest message before a client has proved who it is.
pub const PRE_AUTH_BYTES_MAX: usize = 4 * 1024;
/// Largest message of a client afterwards: a chat line of [`crate::session::request::TEXT_CHARS_MAX`] escaped characters fits.
pub const CLIENT_BYTES_MAX: usize = 64 * 1024;
/// Largest message of a hub: one transcript line; snapshots are cut into parts.
pub const HUB_BYTES_MAX: usize = LINE_BYTES_MAX;
/// One part of a snapshot.
pub const SNAPSHOT_PART_BYTES: usize = 128 * 1024;

/// A client's messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FromClient {
    /// First: which versions it speaks, and the link's secret.
    Knock {
        /// Versions.
        versions: Vec<u32>,
        /// Secret of the link.
        token: String,
    },
    /// Second: who it is, proved.
    Auth {
        /// Public key, `ssh-ed25519 AAAA…`.
        key: String,
        /// The name it goes by. Ignored but for observers: a personal link says who it is.
        principal: Principal,
        /// Its own nonce, hexadecimal.
        nonce: String,
        /// The last line it holds, where it comes back.
        have: Option<Head>,
        /// Over [`join_statement`]: an armored SSHSIG.
        signature: String,
    },
    /// A wish.
    Ask {
        /// Comes back in the answer.
        id: u64,
        /// The wish.
        request: Request,
        /// What its author signed for it, where it is one that is signed ([`crate::session::signing`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
    },
    /// Still there; the hub answers with its time.
    Ping {
        /// Comes back in the answer.
        id: u64,
        /// The last line it holds.
        head: Head,
    },
}

/// A hub's messages that are not transcript lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FromHub {
    /// Second: which session this is, and what to sign.
    Hello {
        /// The version both speak.
        version: u32,
        /// The session.
        session: String,
        /// Who the link is for; none for the observers' link.
        principal: Option<Principal>,
        /// The hub's nonce, hexadecimal.
        nonce: String,
        /// Fingerprints of the keys that `allowed_signers` gives this principal; none where the session takes any key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keys: Option<Vec<String>>,
        /// The session's own key.
        hub_key: PublicKey,
        /// Over [`hello_statement`], by that key: an armored SSHSIG.
        signature: String,
    },
    /// The proof holds.
    Welcome {
        /// Who the hub takes it for.
        principal: Principal,
        /// What that person may do.
        role: Role,
        /// The connection's number.
        connection: u64,
        /// The hub's time.
        at: At,
        /// The line that the snapshot includes last: one that the hub has signed a checkpoint on. Where there is none, the
        /// last line on disk.
        head: Head,
        /// Number of the last line on disk: there the client is up to date.
        upto: u64,
        /// The first line that will be sent; a snapshot of the one before precedes it where the client cannot go on
        /// from what it holds.
        from: u64,
        /// Whether a snapshot precedes it.
        snapshot: bool,
    },
    /// It does not, or something else is wrong; the connection ends.
    Refuse {
        /// For the person.
        reason: String,
        /// Whether coming again could help (too many connections) or not (wrong link).
        retry: bool,
    },
    /// One part of the session as it was at `head`.
    Snapshot {
        /// The line it includes last.
        head: Head,
        /// Which part, from 0.
        part: u32,
        /// Of how many.
        parts: u32,
        /// A piece of the JSON of [`Session`].
        text: String,
    },
    /// The answer to `Ask`.
    Answer {
        /// Which.
        id: u64,
        /// The hub's head once it was decided: everything it led to is at or below.
        head: u64,
        /// Why not, and what to do.
        refusal: Option<Refused>,
    },
    /// The answer to `Ping`.
    Pong {
        /// Which.
        id: u64,
        /// The hub's time.
        at: At,
    },
    /// The hub lost its transcript (disk full, failed sync): nothing can start any more.
    Dying {
        /// What happened.
        why: String,
    },
}

/// A refusal as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// What was asked for.
    pub request: String,
    /// Why not.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
}

/// The newest screen of a running command: bytes that draw it on an empty one of that size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// The step.
    pub step: StepId,
    /// The attempt.
    pub attempt: u32,
    /// Which of its commands.
    pub part: Part,
    /// Grows with every new screen.
    pub number: u64,
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
    /// What an emulator is fed.
    pub bytes: bytes::Bytes,
}

const JSON: u8 = b'j';
const SCREEN: u8 = b's';

/// A binary message that is not one.
#[derive(Debug, thiserror::Error)]
#[error("the hub sent a message that cannot be read: {0}")]
pub struct MessageError(String);

/// A binary message, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Binary {
    /// JSON.
    Message(FromHub),
    /// A screen.
    Screen(Screen),
}

impl FromHub {
    /// The binary message.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![JSON];
        // Serialising plain data to memory cannot fail; an empty message would be refused by the client, not believed.
        let _ = serde_json::to_writer(&mut bytes, self);
        bytes
    }
}

impl Screen {
    /// The binary message: `s`, number, attempt, columns, rows (big endian), which command, length of the step id, step id, bytes.
    pub fn encode(&self) -> Vec<u8> {
        let id = self.step.as_str().as_bytes();
        let mut out = Vec::with_capacity(24 + id.len() + self.bytes.len());
        out.push(SCREEN);
        out.extend(self.number.to_be_bytes());
        out.extend(self.attempt.to_be_bytes());
        out.extend(self.cols.to_be_bytes());
        out.extend(self.rows.to_be_bytes());
        let part = Part::ALL.iter().position(|part| *part == self.part);
        out.push(part.and_then(|part| u8::try_from(part).ok()).unwrap_or(u8::MAX)); // there are three
        out.push(u8::try_from(id.len()).unwrap_or(u8::MAX)); // a step id has at most 32 columns, 128 bytes
        out.extend(id);
        out.extend(&self.bytes);
        out
    }
}

impl Binary {
    /// Reads a binary message.
    pub fn decode(message: &bytes::Bytes) -> Result<Binary, MessageError> {
        match message.first() {
            Some(&JSON) => {
                // What cannot be read may be quoted in the error, and a hostile hub wrote it.
                let error = |error: serde_json::Error| MessageError(crate::name::shown(&error.to_string()));
                serde_json::from_slice(&message[1..]).map(Binary::Message).map_err(error)
            }
            Some(&SCREEN) => {
                screen(message).map(Binary::Screen).ok_or_else(|| MessageError("a screen cut short".into()))
            }
            _ => Err(MessageError("neither JSON nor a screen".into())),
        }
    }
}

fn screen(message: &bytes::Bytes) -> Option<Screen> {
    let part = *Part::ALL.get(usize::from(*message.get(17)?))?;
    let id_length = usize::from(*message.get(18)?);
    let id = message.get(19..19 + id_length)?;
    Some(Screen {
        number: u64::from_be_bytes(message.get(1..9)?.try_into().ok()?),
        attempt: u32::from_be_bytes(message.get(9..13)?.try_into().ok()?),
        cols: u16::from_be_bytes(message.get(13..15)?.try_into().ok()?),
        rows: u16::from_be_bytes(message.get(15..17)?.try_into().ok()?),
        step: StepId::new(std::str::from_utf8(id).ok()?).ok()?,
        part,
        bytes: message.slice(19 + id_length..),
    })
}

/// What both ends of one TLS connection know of it, and nobody between them does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// SHA-256 of the hub's certificate: the one it has, the one the client was shown.
    pub certificate: Hash,
    /// SHA-256 of keying material exported from the connection (RFC 9266); of two connections never the same.
    pub binding: Hash,
}

/// What a hub signs to show that it holds the session's own key, bound to this connection as [`join_statement`] is.
pub fn hello_statement(channel: &Channel, session: &str, hub_nonce: &str, hub_key: &PublicKey) -> String {
    format!(
        "crosscheck-hello v1\ncertificate: sha256:{}\nbinding: {}\nsession: {session}\nhub-nonce: {hub_nonce}\nhub-key: {}\n",
        channel.certificate,
        channel.binding,
        hub_key.fingerprint()
    )
}

/// What a client signs to prove its key: ASCII lines in fixed order, bound to this connection, this session, the nonces of
/// both and this name, so that the proof is of no use anywhere else. Whoever terminates TLS in between has two connections,
/// and what is signed for one of them does not hold on the other.
pub fn join_statement(
    channel: &Channel,
    session: &str,
    hub_nonce: &str,
    client_nonce: &str,
    principal: &Principal,
    have: Option<Head>,
) -> String {
    let have = have.map_or("none".to_owned(), |head| format!("{} {}", head.seq, head.hash));
    format!(
        "crosscheck-join v1\ncertificate: sha256:{}\nbinding: {}\nsession: {session}\nhub-nonce: {hub_nonce}\nclient-nonce: {client_nonce}\nprincipal: {principal}\nhead: {have}\n",
        channel.certificate, channel.binding
    )
}

/// The parts of a snapshot. `Err` where the session cannot be written as JSON.
pub fn snapshot(session: &Session, head: Head) -> Result<Vec<FromHub>, serde_json::Error> {
    let text = serde_json::to_string(session)?;
    let mut pieces = vec![];
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let mut cut = rest.len().min(SNAPSHOT_PART_BYTES / 2); // escaping a piece again may double it
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        let (piece, after) = rest.split_at(cut);
        pieces.push(piece.to_owned());
        rest = after;
    }
    let parts = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    let number = |part| u32::try_from(part).unwrap_or(u32::MAX);
    Ok(pieces
        .into_iter()
        .enumerate()
        .map(|(part, text)| FromHub::Snapshot { head, part: number(part), parts, text })
        .collect())
}

/// A session's digest, for comparing what two clients hold.
pub fn session_digest(session: &Session) -> Option<Hash> {
    serde_json::to_vec(session).ok().map(|bytes| Hash::of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_survives_the_wire_and_no_cut_of_it_panics() {
        let screen = Screen {
            step: StepId::new("drop").unwrap(),
            attempt: 2,
            part: Part::Rollback,
            number: 9,
            cols: 80,
            rows: 24,
            bytes: vec![27, b'[', b'm'].into(),
        };
        let wire = bytes::Bytes::from(screen.encode());
        assert_eq!(Binary::decode(&wire).unwrap(), Binary::Screen(screen));
        for cut in 0..22 {
            assert!(Binary::decode(&wire.slice(..cut)).is_err(), "{cut}");
        }
    }

    /// Found by the fuzz target `wire`.
    #[test]
    fn an_error_quotes_nothing_that_acts_on_a_terminal() {
        let wire = bytes::Bytes::from_static(b"j{\"Refuse\":{\"reas\x7f\xe2\x80\xaen\":\"no\"}}");
        let error = Binary::decode(&wire).unwrap_err().to_string();
        assert!(error.contains("reas\\u{7f}\\u{202e}n") && !error.chars().any(crate::name::is_hidden), "{error}");
    }
}

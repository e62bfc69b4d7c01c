//! Who signs for a person: a key in their agent, a key file that only `ssh-keygen` opens, or the key made for one session.
//!
//! Passphrases are OpenSSH's business. `ssh-keygen` asks through SSH_ASKPASS where there is one; otherwise `ssh-add` asks on the
//! terminal, once, before there is a screen ([`Signer::ready`]).

use super::agent::{self, AgentError};
use super::key::PublicKey;
use super::sshsig;
use crate::identity::Key;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How long `ssh-keygen` may take: a person types a passphrase, or touches a key.
const PATIENCE: Duration = Duration::from_secs(120);
/// The key files that OpenSSH looks for itself, in its order.
const FILES: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"];

/// See the module.
pub enum Signer {
    /// A key made for one session; kept in a file of ours.
    Own(Key),
    /// A key in an agent.
    Agent {
        /// Where the agent is.
        socket: PathBuf,
        /// The key, and what its owner calls it.
        identity: agent::Identity,
        /// Kept alive with it, where it is an agent of this process's own.
        own: Option<Arc<OwnAgent>>,
    },
    /// A private key in a file.
    File {
        /// The file.
        path: PathBuf,
        /// Its public half.
        public: PublicKey,
    },
}

/// Why nobody signs.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SignError {
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("the key {path} cannot be used: {why}", path = path.display())]
    File { path: PathBuf, why: String },
    #[error("ssh-keygen cannot be started: {0}\nhint: install OpenSSH, or add the key to an agent (ssh-add)")]
    NoKeygen(std::io::Error),
    #[error("ssh-keygen did not sign with {path}: {why}\nhint: ssh-add {path} and try again", path = path.display())]
    Keygen { path: PathBuf, why: String },
    #[error("what was signed does not hold: {0}")]
    Useless(String),
    #[error(
        "no key of yours is one that this session knows: {looked}\nhint: ssh-add the key that stands in allowed_signers under your name, or name its file with --key FILE"
    )]
    NoneWanted { looked: String },
}

impl Signer {
    /// The key that signs. `file` is the one that was asked for (`FILE` or `FILE.pub`); otherwise the first that is wanted,
    /// of the agent's keys, then of the files that OpenSSH looks for.
    pub async fn find(file: Option<&Path>, wanted: impl Fn(&PublicKey) -> bool) -> Result<Signer, SignError> {
        let (socket, held) = match agent::socket() {
            Ok(socket) => match agent::identities(&socket).await {
                Ok(held) => (Ok(socket), held),
                Err(error) => (Err(error), vec![]),
            },
            Err(error) => (Err(error), vec![]),
        };
        let in_agent = |key: &PublicKey| {
            let identity = held.iter().find(|identity| identity.key == *key)?.clone();
            Some(Signer::Agent { socket: socket.as_ref().ok()?.clone(), identity, own: None })
        };
        if let Some(file) = file {
            let (path, public) = read_public(file)?;
            // An agent that holds it spares the passphrase.
            return match in_agent(&public) {
                Some(signer) => Ok(signer),
                None if path.is_file() => Ok(Signer::File { path, public }),
                None => Err(SignError::File {
                    why: "its private half is not there, and no agent holds it\nhint: ssh-add it, or name the private key's file"
                        .to_owned(),
                    path,
                }),
            };
        }
        if let Some(signer) = held.iter().find(|identity| wanted(&identity.key)).and_then(|it| in_agent(&it.key)) {
            return Ok(signer);
        }
        let mut looked = match &socket {
            Ok(_) => format!("the agent holds {} keys", held.len()),
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        // Without a home there are no such files; a relative path would look into whatever folder this is.
        let folder = etcetera::home_dir().ok().map(|home| home.join(".ssh"));
        for path in folder.iter().flat_map(|folder| FILES.iter().map(|name| folder.join(name))) {
            if !path.is_file() {
                continue; // a public half alone signs nothing
            }
            match read_public(&path) {
                Ok((path, public)) if wanted(&public) => return Ok(Signer::File { path, public }),
                Ok(_) => looked += &format!(", {} is another key", path.display()),
                Err(SignError::File { why, .. }) => looked += &format!(", {} cannot be used ({why})", path.display()),
                Err(error) => looked += &format!(", {error}"),
            }
        }
        Err(SignError::NoneWanted { looked })
    }

    /// The key.
    pub fn public(&self) -> &PublicKey {
        match self {
            Signer::Own(key) => key.public(),
            Signer::Agent { identity, .. } => &identity.key,
            Signer::File { public, .. } => public,
        }
    }

    /// Which key it is, for its owner.
    pub fn describe(&self) -> String {
        let key = self.public();
        match self {
            Signer::Own(_) => format!("a key made for this session, {}", key.fingerprint()),
            Signer::Agent { identity, .. } => {
                format!("the agent's {} key {} ({})", key.kind(), key.fingerprint(), identity.comment)
            }
            Signer::File { path, .. } => format!("the {} key in {}", key.kind(), path.display()),
        }
    }

    /// A key that signs without asking on the terminal, which the cockpit draws on: one in a file with a passphrase is put
    /// into an agent of this process's own, which asks for the passphrase now and once.
    pub async fn ready(self) -> Result<Signer, SignError> {
        match self {
            Signer::File { path, public } if askpass().is_none() && !opens(&path).await => {
                own_agent(path, public).await
            }
            signer => Ok(signer),
        }
    }

    /// An armored SSHSIG of that text for that namespace. What comes back was checked.
    pub async fn sign(&self, namespace: &str, message: &[u8]) -> Result<String, SignError> {
        let armor = match self {
            Signer::Own(key) => key.sign_sshsig(namespace, message),
            Signer::Agent { socket, identity, .. } => {
                let data = sshsig::signed_data(namespace, message);
                let signature = agent::sign(socket, &identity.key, &data).await?;
                sshsig::armor(&identity.key, namespace, &signature)
            }
            Signer::File { path, .. } => keygen(path, namespace, message, askpass()).await?,
        };
        match sshsig::verify(&armor, namespace, message) {
            Ok(proof) if proof.key == *self.public() => Ok(armor),
            Ok(proof) => Err(SignError::Useless(format!("it is by another key, {}", proof.key.fingerprint()))),
            Err(error) => Err(SignError::Useless(error.to_string())),
        }
    }
}

/// The program that asks for passphrases in a window of its own.
fn askpass() -> Option<OsString> {
    std::env::var_os("SSH_ASKPASS").filter(|program| !program.is_empty())
}

/// The private file that was meant, and the public key beside it.
fn read_public(file: &Path) -> Result<(PathBuf, PublicKey), SignError> {
    let failed = |why: String| SignError::File { path: file.to_owned(), why };
    let private = match file.extension() {
        Some(extension) if extension == "pub" => file.with_extension(""),
        _ => file.to_owned(),
    };
    let mut public = private.clone().into_os_string();
    public.push(".pub");
    let text = std::fs::read_to_string(&public)
        .map_err(|error| failed(format!("its public half {} cannot be read: {error}", Path::new(&public).display())))?;
    let key = text.parse::<PublicKey>().map_err(|error| failed(error.to_string()))?;
    Ok((private, key))
}

/// Whether the file opens without a passphrase.
async fn opens(path: &Path) -> bool {
    let mut command = Command::new("ssh-keygen");
    command.args(["-y", "-P", "", "-f"]).arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

/// An agent that lives as long as the signer, with that key in it.
async fn own_agent(path: PathBuf, public: PublicKey) -> Result<Signer, SignError> {
    let failed = |why: String| SignError::File { path: path.clone(), why };
    let name = crate::identity::random_hex(8).map_err(|error| failed(error.to_string()))?;
    let folder = std::env::temp_dir().join(format!("crosscheck-agent-{name}"));
    crate::identity::private_folder(&folder).map_err(|error| failed(error.to_string()))?;
    let socket = folder.join("agent");
    let mut command = Command::new("ssh-agent");
    command.args(["-D", "-a"]).arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.kill_on_drop(true).spawn().map_err(|error| failed(format!("ssh-agent: {error}")))?;
    let guard = Arc::new(OwnAgent { _child: child, folder });
    let begun = std::time::Instant::now();
    while agent::identities(&socket).await.is_err() {
        if begun.elapsed() > Duration::from_secs(5) {
            return Err(failed("ssh-agent does not answer".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // it makes its socket when it is ready
    }
    let added = Command::new("ssh-add").arg("-q").arg(&path).env("SSH_AUTH_SOCK", &socket).status().await;
    if !added.is_ok_and(|status| status.success()) {
        return Err(failed("ssh-add could not open it".to_owned()));
    }
    let identity = agent::Identity { key: public, comment: path.display().to_string() };
    Ok(Signer::Agent { socket, identity, own: Some(guard) })
}

/// An agent of this process's own; it ends with its last signer.
pub struct OwnAgent {
    _child: tokio::process::Child,
    folder: PathBuf,
}
impl Drop for OwnAgent {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder); // the child is killed with its handle
    }
}

async fn keygen(path: &Path, namespace: &str, message: &[u8], askpass: Option<OsString>) -> Result<String, SignError> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-n", namespace, "-f"]).arg(path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Its own choice hangs on whether there is a display; a key that would ask on the terminal was made [`Signer::ready`].
    match askpass {
        Some(program) => command.env("SSH_ASKPASS", program).env("SSH_ASKPASS_REQUIRE", "force"),
        None => command.env("SSH_ASKPASS_REQUIRE", "never"),
    };
    let mut child = command.spawn().map_err(SignError::NoKeygen)?;
    let failed = |why: String| SignError::Keygen { path: path.to_owned(), why };
    let signed = async {
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(message).await; // one that ended before it read says why itself
        }
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(PATIENCE, signed).await {
        Ok(output) => output.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed(format!("it took longer than {} s", PATIENCE.as_secs()))),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        return Err(failed(crate::name::shown(last)));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("its answer is no text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn a_passphrase_is_asked_by_askpass_and_a_wrong_one_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "open sesame", "-C", "", "-f"]).arg(&path);
        match make.stdin(Stdio::null()).status().await {
            Ok(made) => assert!(made.success()),
            Err(missing) => return eprintln!("LEFT OUT: ssh-keygen cannot be started: {missing}"),
        }
        let ask = |name: &str, says: &str| {
            let program = folder.path().join(name);
            fs::write(&program, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
            fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
            Some(program.into_os_string())
        };
        let (_, public) = read_public(&path).unwrap();
        let armor = keygen(&path, "n", b"m", ask("right", "open sesame")).await.unwrap();
        assert_eq!(sshsig::verify(&armor, "n", b"m").unwrap().key, public);
        let told = keygen(&path, "n", b"m", ask("wrong", "open barley")).await.unwrap_err().to_string();
        assert!(told.contains("incorrect passphrase") && told.contains("ssh-add"), "{told}");
    }
}

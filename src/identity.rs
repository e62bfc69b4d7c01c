//! Keys: who a connection proves to be. Written and read as OpenSSH does, so that a key's line can go into
//! `allowed_signers` and its fingerprint can be compared with `ssh-keygen -l`.

use crate::trust::key::PublicKey;
use crate::trust::sshsig;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A key pair kept for one session and principal.
#[derive(Clone)]
pub struct Key {
    pair: Arc<Ed25519KeyPair>,
    public: PublicKey,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file or its folder.
    #[error("the key {path} cannot be {doing}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Read or written.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Not what we wrote there.
    #[error(
        "{path} holds no Ed25519 key of ours; move it away and join again (the hub will then refuse the personal link: ask for a new session)"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// No randomness.
    #[error("this machine gives no random bytes")]
    Random,
}

/// Random bytes as hexadecimal digits.
pub fn random_hex(bytes: usize) -> Result<String, KeyError> {
    let mut buffer = vec![0; bytes];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut buffer).map_err(|_| KeyError::Random)?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Key {
    /// The key in that file; made (0600, in folders 0700) where there is none yet.
    pub fn load_or_make(path: &Path) -> Result<Key, KeyError> {
        let error = |doing| move |source| KeyError::File { path: path.to_owned(), doing, source };
        match fs::read(path) {
            Ok(bytes) => Self::from_bytes(&bytes).ok_or_else(|| KeyError::Damaged { path: path.to_owned() }),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                let (bytes, key) = Self::generate()?;
                if let Some(folder) = path.parent() {
                    private_folder(folder).map_err(error("written"))?;
                }
                // `create_new`: of two clients started at once one makes the key, and the other reads that one.
                match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
                    Ok(mut file) => {
                        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(error("written"))?;
                        Ok(key)
                    }
                    Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => {
                        let bytes = fs::read(path).map_err(error("read"))?;
                        Self::from_bytes(&bytes).ok_or_else(|| KeyError::Damaged { path: path.to_owned() })
                    }
                    Err(source) => Err(error("written")(source)),
                }
            }
            Err(source) => Err(error("read")(source)),
        }
    }

    /// A new key that is kept nowhere.
    pub fn fresh() -> Result<Key, KeyError> {
        Self::generate().map(|(_, key)| key)
    }

    fn generate() -> Result<(Vec<u8>, Key), KeyError> {
        let document =
            Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).map_err(|_| KeyError::Random)?;
        let bytes = document.as_ref().to_vec();
        let key = Self::from_bytes(&bytes).ok_or(KeyError::Random)?;
        Ok((bytes, key))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Key> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).ok()?;
        let public = PublicKey::ed25519(pair.public_key().as_ref().try_into().ok()?);
        Some(Key { pair: pair.into(), public })
    }

    /// `ssh-ed25519 AAAA…`.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// An armored SSHSIG.
    pub fn sign_sshsig(&self, namespace: &str, message: &[u8]) -> String {
        let raw = self.pair.sign(&sshsig::signed_data(namespace, message));
        sshsig::armor_ed25519(&self.public, namespace, raw.as_ref())
    }
}

/// Makes a folder (and those above it) that only its owner can look into.
pub fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_proves_itself_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/a.key");
        let key = Key::load_or_make(&path).unwrap();
        let again = Key::load_or_make(&path).unwrap();
        assert_eq!(key.public(), again.public());
        let public: PublicKey = key.public().to_string().parse().unwrap();
        let signature = again.sign_sshsig("crosscheck-join", b"m");
        assert_eq!(sshsig::verify(&signature, "crosscheck-join", b"m").unwrap().key, public);
        assert!(sshsig::verify(&signature, "crosscheck-join", b"n").is_err());
        assert!(sshsig::verify(&signature, "crosscheck-approve", b"m").is_err());
        assert!("ssh-ed25519 AAAA".parse::<PublicKey>().is_err());
        fs::write(&path, "garbage").unwrap();
        assert!(matches!(Key::load_or_make(&path), Err(KeyError::Damaged { .. })));
    }
}

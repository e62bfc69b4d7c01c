//! Keys: who a connection proves to be. Written and read as OpenSSH does, so that a key's line can go into
//! `allowed_signers` and its fingerprint can be compared with `ssh-keygen -l`.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const KIND: &str = "ssh-ed25519";

/// A key pair kept for one session and principal.
pub struct Key {
    pair: Ed25519KeyPair,
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
        Ed25519KeyPair::from_pkcs8(bytes).ok().map(|pair| Key { pair })
    }

    /// `ssh-ed25519 AAAA…`.
    pub fn public(&self) -> PublicKey {
        let mut raw = [0; 32];
        raw.copy_from_slice(self.pair.public_key().as_ref()); // an Ed25519 public key is 32 bytes
        PublicKey(raw)
    }

    /// A signature, base64.
    pub fn sign(&self, message: &str) -> String {
        BASE64_STANDARD.encode(self.pair.sign(message.as_bytes()))
    }
}

/// Makes a folder (and those above it) that only its owner can look into.
pub fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// An Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::with_capacity(51);
        for part in [KIND.as_bytes(), &self.0] {
            blob.extend(u32::try_from(part.len()).unwrap_or(0).to_be_bytes()); // 11 and 32
            blob.extend(part);
        }
        blob
    }
    /// As `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(crate::hash::Hash::of(&self.blob()).bytes()))
    }
    /// Whether this key made that signature (base64) of that message.
    pub fn verify(&self, message: &str, signature: &str) -> bool {
        BASE64_STANDARD.decode(signature).is_ok_and(|signature| {
            UnparsedPublicKey::new(&ED25519, self.0).verify(message.as_bytes(), &signature).is_ok()
        })
    }
}
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{KIND} {}", BASE64_STANDARD.encode(self.blob()))
    }
}
impl std::str::FromStr for PublicKey {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let blob = text
            .strip_prefix(KIND)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or("only ssh-ed25519 keys are in this version")?;
        let blob = BASE64_STANDARD.decode(blob.trim()).map_err(|_| "the key is not base64")?;
        let raw: [u8; 32] = blob.get(19..).and_then(|raw| raw.try_into().ok()).ok_or("the key has the wrong length")?;
        let key = PublicKey(raw);
        if key.blob() == blob { Ok(key) } else { Err("the key is not in OpenSSH's form") }
    }
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
        assert!(public.verify("m", &again.sign("m")));
        assert!(!public.verify("n", &again.sign("m")));
        assert!(!public.verify("m", "not base64"));
        assert!("ssh-ed25519 AAAA".parse::<PublicKey>().is_err());
        fs::write(&path, "garbage").unwrap();
        assert!(matches!(Key::load_or_make(&path), Err(KeyError::Damaged { .. })));
    }
}

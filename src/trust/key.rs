//! Public keys.
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
const KIND: &str = "ssh-ed25519";
/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(Vec<u8>);
impl PublicKey {
    /// From raw.
    pub fn ed25519(raw: &[u8]) -> PublicKey {
        let mut blob = Vec::with_capacity(51);
        for part in [KIND.as_bytes(), raw] {
            blob.extend(u32::try_from(part.len()).unwrap_or(0).to_be_bytes());
            blob.extend(part);
        }
        PublicKey(blob)
    }
    /// Blob.
    pub fn blob(&self) -> &[u8] {
        &self.0
    }
    /// Raw.
    pub fn raw(&self) -> &[u8] {
        &self.0[19..]
    }
    /// From a blob.
    pub fn from_blob(blob: &[u8]) -> Result<PublicKey, String> {
        let raw = blob.get(19..).filter(|raw| raw.len() == 32).ok_or("the key has the wrong length")?;
        let key = PublicKey::ed25519(raw);
        if key.0 == blob { Ok(key) } else { Err("the key is not in OpenSSH's form".into()) }
    }
    /// Fingerprint.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(crate::hash::Hash::of(&self.0).bytes()))
    }
}
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{KIND} {}", BASE64_STANDARD.encode(&self.0))
    }
}
impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}
impl TryFrom<String> for PublicKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
impl std::str::FromStr for PublicKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let blob = text
            .strip_prefix(KIND)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or("only ssh-ed25519 keys are in this version")?;
        let blob = BASE64_STANDARD.decode(blob.trim()).map_err(|_| "the key is not base64")?;
        PublicKey::from_blob(&blob)
    }
}

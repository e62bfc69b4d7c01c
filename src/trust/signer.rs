//! Who signs.
use super::key::PublicKey;
use crate::identity::Key;
/// Signer.
pub enum Signer {
    /// Own.
    Own(Key),
}
impl Signer {
    /// Public.
    pub fn public(&self) -> &PublicKey {
        match self {
            Signer::Own(key) => key.public(),
        }
    }
    /// Sign.
    pub async fn sign(&self, namespace: &str, message: &[u8]) -> Result<String, String> {
        match self {
            Signer::Own(key) => Ok(key.sign_sshsig(namespace, message)),
        }
    }
}

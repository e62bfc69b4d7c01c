//! SSHSIG.
use super::key::PublicKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
/// Error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad signature: {0}")]
pub struct SigError(pub String);
/// Proof.
#[derive(Debug)]
pub struct Signed {
    /// Key.
    pub key: PublicKey,
}
impl Signed {
    /// Touched.
    pub fn touched(&self) -> bool {
        false
    }
}
fn put(out: &mut Vec<u8>, part: &[u8]) {
    out.extend(u32::try_from(part.len()).unwrap_or(0).to_be_bytes());
    out.extend(part);
}
/// What is signed.
pub fn signed_data(namespace: &str, message: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    let mut out = b"SSHSIG".to_vec();
    put(&mut out, namespace.as_bytes());
    put(&mut out, b"");
    put(&mut out, b"sha512");
    put(&mut out, &sha2::Sha512::digest(message));
    out
}
/// Armor.
pub fn armor(key: &PublicKey, namespace: &str, raw: &[u8]) -> String {
    let mut blob = b"SSHSIG".to_vec();
    blob.extend(1u32.to_be_bytes());
    put(&mut blob, key.blob());
    put(&mut blob, namespace.as_bytes());
    put(&mut blob, b"");
    put(&mut blob, b"sha512");
    let mut sig = vec![];
    put(&mut sig, b"ssh-ed25519");
    put(&mut sig, raw);
    put(&mut blob, &sig);
    let text = BASE64_STANDARD.encode(blob);
    let mut out = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
    for chunk in text.as_bytes().chunks(70) {
        out += std::str::from_utf8(chunk).unwrap_or_default();
        out.push('\n');
    }
    out + "-----END SSH SIGNATURE-----\n"
}
/// Verify.
pub fn verify(armor_text: &str, namespace: &str, message: &[u8]) -> Result<Signed, SigError> {
    let no = |why: &str| SigError(why.to_owned());
    let body: String = armor_text.lines().filter(|line| !line.starts_with("---")).collect();
    let blob = BASE64_STANDARD.decode(body).map_err(|_| no("base64"))?;
    let mut at = blob.get(10..).ok_or_else(|| no("short"))?;
    let mut parts = vec![];
    while at.len() >= 4 {
        let n = u32::from_be_bytes([at[0], at[1], at[2], at[3]]) as usize;
        parts.push(at.get(4..4 + n).ok_or_else(|| no("cut"))?.to_vec());
        at = &at[4 + n..];
    }
    let [key, ns, _, _, sig] = parts.as_slice() else { return Err(no("parts")) };
    let key = PublicKey::from_blob(key).map_err(|e| no(&e))?;
    if ns != namespace.as_bytes() {
        return Err(no("namespace"));
    }
    let raw = sig.get(19..).ok_or_else(|| no("sig"))?;
    if armor(&key, namespace, raw) != armor_text {
        return Err(no("not as OpenSSH writes it"));
    }
    ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key.raw())
        .verify(&signed_data(namespace, message), raw)
        .map_err(|_| no("does not hold"))?;
    Ok(Signed { key })
}

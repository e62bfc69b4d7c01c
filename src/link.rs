//! Links: where a session is and the secret that opens its door.
//!
//! `crosscheck://HOST:PORT/#s=<session>&fp=sha256:<certificate>&t=<token>[&p=<principal>]`. Everything secret stands in the
//! fragment, which never travels in a request line. `fp` is the SHA-256 of the hub's certificate: by it a client knows the hub
//! it was sent to from anybody else who answers there.

use crate::hash::Hash;
use crate::name::{Principal, REHEARSAL, is_hidden};
use std::fmt;

/// A link, read.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The session.
    pub session: String,
    /// SHA-256 of the hub's certificate.
    pub certificate: Hash,
    /// The secret.
    pub token: String,
    /// Who it is for; none for the observers' link.
    pub principal: Option<Principal>,
}

/// Why a text is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no crosscheck link: {0}\nhint: a link looks like crosscheck://HOST:PORT/#s=…&fp=sha256:…&t=…; quote it, the shell eats # and &"
)]
pub struct LinkError(String);

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "crosscheck://{host}:{}/#s={}&fp=sha256:{}", self.port, self.session, self.certificate)?;
        write!(f, "&t={}", self.token)?;
        match &self.principal {
            Some(principal) => write!(f, "&p={principal}"),
            None => Ok(()),
        }
    }
}
impl fmt::Debug for Link {
    /// Without the secret: links end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crosscheck://{}:{}/#s={}&t=…", self.host, self.port, self.session)
    }
}

impl std::str::FromStr for Link {
    type Err = LinkError;
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let no = |why: &str| LinkError(why.to_owned());
        let rest =
            text.trim().strip_prefix("crosscheck://").ok_or_else(|| no("it does not start with crosscheck://"))?;
        let (place, fragment) = rest.split_once("/#").ok_or_else(|| no("it has no secret after /#"))?;
        let (host, port) = place.rsplit_once(':').ok_or_else(|| no("it names no port"))?;
        let port = port.parse().map_err(|_| no("its port is no number from 1 to 65535"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        // Names, addresses, and what stands behind an address to say on which interface: nothing that could hide, and no part
        // of a link that was pasted into itself, whose secret would then be shown as the place.
        if host.is_empty() || host.contains(|c: char| !(c.is_alphanumeric() || ".-_:%".contains(c)) || is_hidden(c)) {
            return Err(no("it names no host"));
        }
        let (mut session, mut certificate, mut token, mut principal) = (None, None, None, None);
        for pair in fragment.split('&') {
            match pair.split_once('=') {
                Some(("s", value)) => session = Some(value),
                Some(("t", value)) => token = Some(value),
                Some(("p", value)) => {
                    principal = Some(Principal::new(value).map_err(|error| LinkError(error.to_string()))?)
                }
                Some(("fp", value)) => {
                    let hash = value.strip_prefix("sha256:").and_then(|digits| digits.parse().ok());
                    certificate = Some(hash.ok_or_else(|| {
                        no("its part fp= is not sha256: and 64 hexadecimal digits (was it cut when it was copied?)")
                    })?);
                }
                _ => return Err(no("it has a part this version does not know")),
            }
        }
        let hex = |name: &str, value: Option<&str>| match value {
            Some(value) if value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(value.to_owned()),
            _ => Err(LinkError(format!(
                "its part {name}= is not 32 hexadecimal digits (was it cut when it was copied?)"
            ))),
        };
        // A rehearsal's link says so.
        let bare = session.map(|session| session.strip_prefix(REHEARSAL).unwrap_or(session));
        hex("s", bare)?;
        let (session, token) = (session.unwrap_or_default().to_owned(), hex("t", token)?);
        let certificate = certificate.ok_or_else(|| {
            no("it does not say which certificate the hub has (fp=sha256:…); it is of an older crosscheck, or was cut: ask the lead for a new link")
        })?;
        Ok(Link { host, port, session, certificate, token, principal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_survive_and_broken_ones_say_what_is_wrong() {
        let (s, fp, t) = ("a".repeat(32), "c".repeat(64), "b".repeat(32));
        let text = format!("crosscheck://127.0.0.1:4000/#s={s}&fp=sha256:{fp}&t={t}&p=dana@example.org");
        let link: Link = text.parse().unwrap();
        assert_eq!(link.to_string(), text);
        assert!(!format!("{link:?}").contains("bbbb"));
        let v6: Link = text.replace("127.0.0.1", "[::1]").parse().unwrap();
        assert_eq!((v6.host.as_str(), v6.to_string().contains("[::1]")), ("::1", true));
        for (bad, why) in [
            ("http://x", "start with"),
            ("crosscheck://h:1", "no secret"),
            ("crosscheck://h:99999/#s=1", "no number"),
            (&text[..text.len() - 40], "32 hexadecimal"),
            (&text.replace("127.0.0.1", "127&t=b.0.0.1"), "names no host"), // found by the fuzz target `wire`
            (&text.replace("127.0.0.1", "hub\u{3164}.example.org"), "names no host"),
            (&text.replace(&format!("&fp=sha256:{fp}"), ""), "ask the lead for a new link"),
            (&text.replace("sha256:c", "sha256:"), "64 hexadecimal"),
            (&text.replace("sha256:", "sha1:"), "64 hexadecimal"),
        ] {
            assert!(bad.parse::<Link>().unwrap_err().to_string().contains(why), "{bad}");
        }
    }
}

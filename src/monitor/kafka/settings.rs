//! The client's settings that a plan passes through, and which of them this build can carry out.

use crate::monitor::text;
use crate::plan::{KafkaSetting, KafkaValue, Params};
use std::path::{Path, PathBuf};

/// Nobody's key or certificates are longer; a path that was mistaken is not read into memory.
const FILE_MAX: u64 = 1 << 20;

/// Where the value of a setting comes from, with parameters filled in.
enum From {
    Text(String),
    Env(String),
    File(PathBuf),
}

/// Settings by name, read anew for each connection: a file may be renewed.
pub(super) struct Settings(Vec<(String, From)>);

impl Settings {
    /// Fills parameters in; relative paths start at the plan's folder.
    pub(super) fn new(settings: &[KafkaSetting], params: &Params, folder: &Path) -> Result<Self, String> {
        let one = |setting: &KafkaSetting| {
            let from = match &setting.value {
                KafkaValue::Text(value) => {
                    let value = value.render(params).map_err(text)?;
                    // librdkafka would look for it wherever the hub was started.
                    match setting.name.ends_with(".location") {
                        true => From::Text(folder.join(value).display().to_string()),
                        false => From::Text(value),
                    }
                }
                KafkaValue::Env(name) => From::Env(name.clone()),
                KafkaValue::File(path) => From::File(folder.join(path.render(params).map_err(text)?)),
            };
            Ok((setting.name.clone(), from))
        };
        Ok(Settings(settings.iter().map(one).collect::<Result<_, String>>()?))
    }

    /// The values as they are now. An error names the setting and never the value.
    pub(super) fn read(&self) -> Result<Vec<(String, String)>, String> {
        let read = self.0.iter().map(|(name, from)| {
            let value = match from {
                From::Text(value) => value.clone(),
                From::Env(variable) => std::env::var(variable)
                    .map_err(|_| format!("{name}: the hub's environment has no text in {variable}"))?,
                From::File(path) => file(path).map_err(|why| format!("{name}: {}: {why}", path.display()))?,
            };
            Ok((name.clone(), value))
        });
        let values: Vec<(String, String)> = read.collect::<Result<_, String>>()?;
        match needs_tls(values.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
            Some(why) => Err(why),
            None => Ok(values),
        }
    }
}

fn file(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(text)?.len();
    if size > FILE_MAX {
        return Err(format!("more than {FILE_MAX} bytes"));
    }
    let value = std::fs::read_to_string(path).map_err(text)?;
    Ok(value.trim_end_matches(['\r', '\n']).to_owned())
}

/// Why this build can never connect with these settings, as far as the plan tells.
pub(in crate::monitor) fn refused(settings: &[KafkaSetting]) -> Option<String> {
    needs_tls(settings.iter().map(|setting| match &setting.value {
        KafkaValue::Text(value) => (setting.name.as_str(), value.text()),
        KafkaValue::Env(_) | KafkaValue::File(_) => (setting.name.as_str(), ""),
    }))
}

/// What is missing, where this build has no TLS and the settings ask for it.
fn needs_tls<'a>(mut settings: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    if cfg!(feature = "kafka-tls") {
        return None;
    }
    // SCRAM is computed with what TLS is made of.
    let (name, value) = settings.find(|(name, value)| match *name {
        "security.protocol" => value.to_ascii_uppercase().ends_with("SSL"),
        "sasl.mechanism" | "sasl.mechanisms" => value.to_ascii_uppercase().starts_with("SCRAM"),
        name => name.starts_with("ssl."),
    })?;
    let what = if name.starts_with("ssl.") { name.to_owned() } else { format!("{name} = {value:?}") };
    Some(format!("{what} needs TLS for Kafka, which this build does not have; build it with `--features kafka-tls`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Template;

    fn setting(name: &str, value: KafkaValue) -> KafkaSetting {
        KafkaSetting { name: name.to_owned(), value }
    }
    fn text(text: &str) -> KafkaValue {
        KafkaValue::Text(Template::new(text).unwrap())
    }

    #[test]
    fn values_come_from_the_plan_from_a_variable_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "a secret\n").unwrap();
        let file = |name: &str| KafkaValue::File(Template::new(name).unwrap());
        let settings = [
            setting("sasl.username", KafkaValue::Env("PATH".into())),
            setting("sasl.password", file("password")),
            setting("client.id", text("crosscheck")),
        ];
        let read = Settings::new(&settings, &Params::new(), folder.path()).unwrap().read().unwrap();
        let expected = [std::env::var("PATH").unwrap(), "a secret".into(), "crosscheck".into()];
        assert_eq!(read.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), expected);
        for (value, said) in [
            (KafkaValue::Env("CROSSCHECK_NO_SUCH_VARIABLE".into()), "has no text in CROSSCHECK_NO_SUCH_VARIABLE"),
            (file("gone"), "gone"),
        ] {
            let settings = Settings::new(&[setting("sasl.password", value)], &Params::new(), folder.path()).unwrap();
            let why = settings.read().unwrap_err();
            assert!(why.starts_with("sasl.password: ") && why.contains(said), "{why}");
        }
    }

    #[test]
    fn tls_is_refused_by_a_build_without_it_and_by_no_other() {
        for (name, value) in
            [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "SCRAM-SHA-256"), ("ssl.ca.location", "ca.pem")]
        {
            let why = refused(&[setting(name, text(value))]);
            assert_eq!(why.is_none(), cfg!(feature = "kafka-tls"), "{name}: {why:?}");
            assert!(why.is_none_or(|why| why.starts_with(name) && why.contains("--features kafka-tls")));
        }
        assert_eq!(refused(&[setting("security.protocol", text("SASL_PLAINTEXT"))]), None);
    }
}

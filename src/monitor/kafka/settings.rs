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
        match refused(values.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
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

/// Why this build cannot connect with these settings.
pub(in crate::monitor) fn refused<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    if cfg!(feature = "kafka-tls") {
        return None;
    }
    let needs = |(name, value): (&str, &str)| match name {
        "security.protocol" => value.to_ascii_uppercase().ends_with("SSL"),
        "sasl.mechanism" | "sasl.mechanisms" => value.to_ascii_uppercase().starts_with("SCRAM"),
        _ => name.starts_with("ssl."),
    };
    let mut settings = settings;
    let (name, value) = settings.find(|setting| needs(*setting))?;
    let what = if name.starts_with("ssl.") { name.to_owned() } else { format!("{name} = {value}") };
    Some(format!("this build has no TLS for Kafka, which {what} needs; build it with `--features kafka-tls`"))
}

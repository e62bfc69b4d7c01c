//! `[hosts.NAME]`: other machines that a step may run on (`on = "NAME"`), over ssh with a host key that the plan pins.

use super::table::{Table, Value};
use super::{Host, Template};
use std::collections::BTreeMap;

const HOSTS_MAX: usize = 100;
/// The keys of a command that have no meaning on another machine: they are about files and terminals here.
const LOCAL: &[&str] = &["leaves", "stdin", "sealed", "files", "io", "input"];

/// All of them, by name.
pub(super) fn read(top: &Table<'_>) -> Option<BTreeMap<String, Host>> {
    let Some(value) = top.get("hosts") else { return Some(BTreeMap::new()) };
    let entries = value.entries()?;
    if entries.len() > HOSTS_MAX {
        return value.wrong(format!("more than {HOSTS_MAX} hosts"), format!("there are {}", entries.len()));
    }
    let hosts = entries.into_iter().map(|(span, name, value)| {
        if !is_plain(name) {
            let message = format!("a host cannot be called `{name}`");
            value.cx.problem(span, message, "expected letters, digits, dots, - and _");
            return None;
        }
        read_host(name, &value).map(|host| (name.to_owned(), host))
    });
    hosts.collect::<Vec<_>>().into_iter().collect()
}

fn read_host(name: &str, value: &Value<'_>) -> Option<Host> {
    let table = value.table("a host", &["address", "port", "user", "host_key", "identity"], &[])?;
    let plain = |key: &'static str, label: &str| {
        let value = table.require(key, label)?;
        let text = value.text()?;
        match is_plain(text) {
            true => Some(text.to_owned()),
            false => value.wrong(format!("`{key}` cannot be {text:?}"), "expected letters, digits, dots, -, : and _"),
        }
    };
    let address = plain("address", "expected address = \"db1.example.org\"");
    let user = plain("user", "expected user = \"release\": who it is there is not left to a configuration");
    let host_key = table.require("host_key", "expected host_key = \"ssh-ed25519 AAAA…\", as `ssh-keyscan` prints it");
    let host_key = host_key.and_then(|value| {
        let words: Vec<&str> = value.text()?.split_whitespace().collect();
        let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        match words[..] {
            [kind, key, ..] if is_plain(kind) && key.len() > 40 && key.chars().all(base64) => {
                Some(format!("{kind} {key}"))
            }
            _ => value.wrong("`host_key` is no public key", "expected its kind and its base64, on one line"),
        }
    });
    let port = table.get("port").map_or(Some(22), |port| u16::try_from(port.integer(1..=65_535)?).ok());
    let identity: Option<Template> = table.template("identity");
    Some(Host { name: name.to_owned(), address: address?, port: port?, user: user?, host_key: host_key?, identity })
}

/// Nothing that an option, a shell or a known_hosts line would read otherwise.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !text.is_empty() && text.len() <= 255 && !text.starts_with('-') && text.chars().all(plain)
}

/// The host that a command runs on, where it says one.
pub(super) fn on(table: &Table<'_>) -> Option<Option<Host>> {
    let Some(value) = table.get("on") else { return Some(None) };
    let name = value.text()?;
    let hosts = value.cx.hosts.borrow();
    let Some(host) = hosts.get(name) else {
        let label = match value.cx.nearest(name, hosts.keys().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "no such host".to_owned(),
        };
        let help = format!("declare it: [hosts.{name}] with address, user and host_key");
        value.cx.problem_with_help(value.span(), format!("host {name:?} is not declared"), label, help);
        return None;
    };
    if let Some((key, local)) = LOCAL.iter().find_map(|key| Some((key, table.get(key)?))) {
        return local
            .wrong(format!("`{key}` in a command on another host"), "expected no more than run, env, cwd and timeout");
    }
    Some(Some(host.clone()))
}

//! The table `client` of a watch of Kafka: settings of the client library, passed through as they are named there.
//!
//! The list says which: how a broker is reached and who one is, and nothing that changes how a consumer behaves, since
//! what a watch reads rests on that. A text that is secret may not stand in a plan, because a plan stands in the transcript.

use crate::name::is_hidden;
use crate::plan::Template;
use crate::plan::table::{Table, Value};

/// One setting of the client library.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaSetting {
    /// Its name in librdkafka, such as `security.protocol`.
    pub name: String,
    /// Where its value comes from.
    pub value: KafkaValue,
}

/// Where a setting's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum KafkaValue {
    /// This text.
    Text(Template),
    /// That variable of the hub's environment.
    Env(String),
    /// What stands in that file, without the line end at its end; relative to the plan's folder.
    File(Template),
}

/// What may be set.
const SETTINGS: &[&str] = &[
    "broker.address.family",
    "client.dns.lookup",
    "client.id",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
];
/// Never as text in a plan.
const SECRET: &[&str] = &["sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password"];
const PROTOCOLS: &[(&str, ())] = &[("PLAINTEXT", ()), ("SSL", ()), ("SASL_PLAINTEXT", ()), ("SASL_SSL", ())];
const MECHANISMS: &[(&str, ())] = &[("PLAIN", ()), ("SCRAM-SHA-256", ()), ("SCRAM-SHA-512", ())];
const MECHANISMS_REFUSED: &[&str] = &["GSSAPI", "OAUTHBEARER"];

/// Reads `client`; an empty list where there is none.
pub(super) fn read(table: &Table<'_>) -> Option<Vec<KafkaSetting>> {
    let Some(client) = table.get("client") else { return Some(vec![]) };
    let settings: Vec<_> = client.entries()?.into_iter().map(|(at, name, value)| setting(at, name, &value)).collect();
    settings.into_iter().collect()
}

fn setting(at: std::ops::Range<usize>, name: &str, value: &Value<'_>) -> Option<KafkaSetting> {
    if !SETTINGS.contains(&name) {
        let label = match value.cx.nearest(name, SETTINGS.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "not a setting that a watch may change".to_owned(),
        };
        let help = format!("the settings on how brokers are reached: {}", SETTINGS.join(", "));
        // `security.protocol = …` without quotes is a table in a table, which nobody sees at once.
        let help = match value.is_table() && !name.contains('.') {
            true => format!("write the name in quotes: \"{name}.…\" = …; {help}"),
            false => help,
        };
        value.cx.problem_with_help(at, format!("`client` has no setting \"{name}\""), label, help);
        return None;
    }
    if value.is_table() {
        let table = value.table("a setting from elsewhere", &["env", "file"], &[])?;
        return match (table.get("env"), table.get("file")) {
            (Some(env), None) => {
                let variable = env.text()?;
                if variable.is_empty() || variable.contains('=') || variable.chars().any(is_hidden) {
                    return env.wrong("`env` is not the name of a variable", "expected env = \"NAME\"");
                }
                Some(KafkaSetting { name: name.to_owned(), value: KafkaValue::Env(variable.to_owned()) })
            }
            (None, Some(file)) => {
                Some(KafkaSetting { name: name.to_owned(), value: KafkaValue::File(super::non_empty(&file)?) })
            }
            _ => value.wrong(
                format!("\"{name}\" has to come from one place"),
                "expected { env = \"NAME\" } or { file = \"path\" }",
            ),
        };
    }
    if SECRET.contains(&name) {
        let help = "a plan stands in the transcript, for everybody to read";
        let label = "expected { env = \"NAME\" } or { file = \"path\" }";
        value.cx.problem_with_help(value.span(), format!("\"{name}\" is a secret"), label, help);
        return None;
    }
    match name {
        "security.protocol" => value.choice(PROTOCOLS)?,
        "sasl.mechanism" | "sasl.mechanisms" => {
            if let Some(word) = value.peek().filter(|word| MECHANISMS_REFUSED.contains(word)) {
                value.cx.refuse(value.span(), &format!("sasl.mechanism {word}"));
                return None;
            }
            value.choice(MECHANISMS)?;
        }
        _ => {}
    }
    Some(KafkaSetting { name: name.to_owned(), value: KafkaValue::Text(super::non_empty(value)?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, WatchKind};

    fn plan(more: &str) -> Result<Plan, Vec<String>> {
        let text = format!(
            "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"a\"]\nshadow = [\"b\"]\n\
             [params.pem]\ndefault = \"ca.pem\"\n\
             [[watch]]\nid = \"w\"\nkind = \"kafka-lag\"\nbrokers = \"b:9\"\ngroup = \"g\"\n{more}\n"
        );
        Plan::parse("plan.toml", &text).map_err(|error| error.problems.into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn settings_are_kept_as_they_are_named_and_secrets_come_from_elsewhere() {
        let plan = plan(
            "client = { \"security.protocol\" = \"SASL_SSL\", \"sasl.mechanism\" = \"SCRAM-SHA-512\", \"sasl.username\" = \
             \"watch\", \"sasl.password\" = { env = \"KAFKA_PASSWORD\" }, \"ssl.ca.location\" = \"{{ pem }}\", \
             \"ssl.key.password\" = { file = \"key.txt\" } }\ndrained = true\nresidual = 1",
        );
        let WatchKind::KafkaLag(lag) = plan.expect("a plan").watches.remove(0).kind else { panic!("another kind") };
        assert!(lag.drained && lag.residual == 1 && lag.topics.is_empty());
        let of = |name: &str| lag.client.iter().find(|setting| setting.name == name).map(|setting| &setting.value);
        assert_eq!(lag.client.len(), 6);
        assert_eq!(of("sasl.password"), Some(&KafkaValue::Env("KAFKA_PASSWORD".into())));
        assert!(matches!(of("ssl.key.password"), Some(KafkaValue::File(path)) if path.text() == "key.txt"));
        assert!(matches!(of("ssl.ca.location"), Some(KafkaValue::Text(path)) if path.text() == "{{ pem }}"));
    }

    #[test]
    fn settings_that_would_change_what_is_read_and_secrets_in_the_plan_are_refused() {
        for (client, expected) in [
            ("\"group.id\" = \"other\"", "`client` has no setting \"group.id\""),
            ("\"enable.auto.commit\" = \"true\"", "`client` has no setting \"enable.auto.commit\""),
            ("\"enable.ssl.certificate.verification\" = \"false\"", "`client` has no setting"),
            ("security.protocol = \"SSL\"", "`client` has no setting \"security\""),
            ("\"sasl.password\" = \"hunter2\"", "\"sasl.password\" is a secret"),
            ("\"security.protocol\" = \"TLS\"", "`security.protocol` cannot be \"TLS\""),
            ("\"sasl.mechanism\" = \"GSSAPI\"", "sasl.mechanism GSSAPI is not in this version of crosscheck"),
            ("\"sasl.password\" = {}", "\"sasl.password\" has to come from one place"),
            ("\"sasl.password\" = { env = \"A=B\" }", "`env` is not the name of a variable"),
            ("\"ssl.ca.location\" = \"\"", "`ssl.ca.location` is empty"),
            ("\"client.id\" = 7", "`client.id` has the wrong type"),
        ] {
            let problems = plan(&format!("client = {{ {client} }}")).expect_err(client);
            assert_eq!(problems.len(), 1, "{client}: {problems:?}");
            assert!(problems[0].contains(expected), "{client}: {problems:?}");
        }
        assert!(plan("client = \"SSL\"").expect_err("no table")[0].contains("wrong type"));
    }
}

//! Where a watch's readings come from, in the plan's own words with parameters filled in: what stands beside a value, so that
//! nobody has to guess what was asked.

use super::super::{CredentialSource, Database, Params, Run, Template, WatchKind};

impl WatchKind {
    /// What is asked, or looked at. A parameter without a value stands as it is written; a password in an address is left out.
    pub fn source(&self, params: &Params) -> String {
        let of = |template: &Template| template.render(params).unwrap_or_else(|_| template.text().to_owned());
        let all = |templates: &[Template]| templates.iter().map(of).collect::<Vec<_>>().join(", ");
        let run = |run: &Run| match run {
            Run::Argv(words) => words.iter().map(of).collect::<Vec<_>>().join(" "),
            Run::Shell(text) => of(text),
        };
        let line = match self {
            WatchKind::Http(http) => all(&http.urls),
            WatchKind::Tcp { address, .. } => of(address),
            WatchKind::Command { run: command, .. } => run(command),
            WatchKind::File { path, .. } => of(path),
            WatchKind::KafkaLag(lag) => {
                let topics = if lag.topics.is_empty() { "all its topics".to_owned() } else { all(&lag.topics) };
                format!("{} of {topics} at {}", of(&lag.group), of(&lag.brokers))
            }
            WatchKind::KafkaRetention(retention) => format!("{} at {}", of(&retention.topic), of(&retention.brokers)),
            WatchKind::Host(_) => "the hub's machine".to_owned(),
            WatchKind::Compare(compare) => compare.text.clone(),
            WatchKind::Prometheus(query) => format!("{} at {}", of(&query.query), of(&query.url)),
            WatchKind::Process(process) => {
                let by = [&process.name, &process.pid_file].into_iter().flatten().map(of).collect::<Vec<_>>();
                format!("{} on the hub's machine", by.join(", "))
            }
            WatchKind::Nessie(nessie) => format!("{} at {}", of(&nessie.reference), of(&nessie.uri)),
            WatchKind::Lakefs(lakefs) => {
                format!("{} of {} at {}", of(&lakefs.reference), of(&lakefs.repository), of(&lakefs.uri))
            }
            WatchKind::Sql(sql) => {
                let place = match &sql.database {
                    Database::Postgres(server) => format!("{} on {}", of(&server.dbname), of(&server.host)),
                    Database::Sqlite(path) => of(path),
                };
                format!("{} at {place}", of(&sql.query).split_whitespace().collect::<Vec<_>>().join(" "))
            }
            WatchKind::Restic(restic) => of(&restic.repository),
            WatchKind::PgDump(dump) => of(&dump.path),
            WatchKind::Results(results) => of(&results.path),
            WatchKind::Session(flown) => format!("{} in {}", of(&flown.environment), of(&flown.transcripts)),
            WatchKind::Credential(credential) => match &credential.source {
                CredentialSource::File(path) => of(path),
                CredentialSource::Command(command) => run(command),
                CredentialSource::Agent(key) => format!("{} in ssh-agent", of(key)),
            },
        };
        without_passwords(&crate::name::shown(&line))
    }
}

/// `//user:password@` becomes `//…@`, in every address of a text.
fn without_passwords(text: &str) -> String {
    let mut parts = text.split("//");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let authority = part.find(['/', ' ', ',', '?', '#']).unwrap_or(part.len());
        out += "//";
        match part[..authority].rfind('@') {
            Some(at) => out += &format!("…{}", &part[at..]),
            None => out += part,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Http, KafkaLag};

    fn template(text: &str) -> Template {
        Template::new(text).unwrap()
    }

    #[test]
    fn a_source_is_what_is_asked_and_no_password() {
        let params = Params::from([("index".to_owned(), "orders".to_owned())]);
        let page = WatchKind::Http(Http::page(template("https://u:secret@h:9/{{ index }}/{{ open }}?a@b")));
        assert_eq!(page.source(&params), "https://u:secret@h:9/{{ index }}/{{ open }}?a@b".replace("u:secret", "…"));
        let page = WatchKind::Http(Http::page(template("https://h/{{ index }}@1")));
        assert_eq!(page.source(&params), "https://h/orders@1");
        let lag = |topics: Vec<Template>| {
            let (brokers, group) = (template("k:9092"), template("{{ index }}-in"));
            let client = vec![];
            WatchKind::KafkaLag(KafkaLag {
                brokers,
                group,
                topics,
                warn_above: None,
                fail_above: None,
                drained: false,
                residual: 0,
                client,
            })
        };
        assert_eq!(lag(vec![]).source(&params), "orders-in of all its topics at k:9092");
        assert_eq!(lag(vec![template("a"), template("b")]).source(&params), "orders-in of a, b at k:9092");
        assert_eq!(without_passwords("a //x:y@h, //p@q z"), "a //…@h, //…@q z");
    }
}

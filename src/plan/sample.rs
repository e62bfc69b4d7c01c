//! Plans to start from: `crosscheck new` writes one of these. Each parses and lints cleanly as it stands, so that what the
//! writer breaks is what the writer changed. Start at [`sample`].

/// The templates there are: a new search index behind an alias, records deleted for good, a table dropped, a service moved
/// to a new version, a replica made the primary.
pub const SAMPLES: &[&str] = &["reindex", "purge", "drop", "update", "promote"];

const TEXTS: &[(&str, &str)] = &[
    ("reindex", include_str!("samples/reindex.toml")),
    ("purge", include_str!("samples/purge.toml")),
    ("drop", include_str!("samples/drop.toml")),
    ("update", include_str!("samples/update.toml")),
    ("promote", include_str!("samples/promote.toml")),
];

/// Stands for the plan's name in the files.
const NAME: &str = "\"NAME OF THE RELEASE\"";

/// The text of a plan made from a template, under a name of its own; nothing where there is no such template.
pub fn sample(template: &str, name: &str) -> Option<String> {
    let (_, text) = TEXTS.iter().find(|(known, _)| *known == template)?;
    let name = crate::name::shown(name);
    let name = if name.trim().is_empty() { template } else { &name };
    Some(text.replacen(NAME, &toml::Value::from(name).to_string(), 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, lint};

    #[test]
    fn every_template_parses_and_lints_cleanly_under_any_name() {
        for (template, (text, _)) in SAMPLES.iter().zip(TEXTS) {
            assert_eq!(template, text, "both lists are in one order");
            for name in ["Tidy up", "quotes \" and \\ and ''' too", "", "a\u{202e}b\nc"] {
                let text = sample(template, name).unwrap();
                let plan = Plan::parse(template, &text).unwrap_or_else(|error| panic!("{error}"));
                // What is to be filled in is named.
                let warnings = lint(&plan).into_iter().filter(|w| !w.message.contains("still that of an example"));
                let warnings: Vec<_> = warnings.map(|w| w.render(template, &plan, false)).collect();
                assert!(warnings.is_empty(), "{}", warnings.join("\n"));
                if !name.contains('\u{202e}') && !name.is_empty() {
                    assert_eq!(plan.name, name);
                }
            }
        }
        assert_eq!(sample("no-such-template", "x"), None);
    }
}

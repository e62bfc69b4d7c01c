//! Values of parameters in texts for a shell: what they may hold there. A shell gives a meaning to most signs, inside quotes as
//! well as outside of them, and a value that holds one is a program. So a value holds none, unless the pattern of its parameter
//! names that very sign. Start at [`Plan::value_in_shell`].

use super::problem::{PlanError, Problem};
use super::shell::{inner, is_shell};
use super::{CredentialSource, NotifyBy, Param, Params, Pattern, Plan, Run, SecretSource, Step, Template, WatchKind};
use std::collections::BTreeSet;
use toml::de::DeTable;

/// Signs beside letters and digits that mean nothing to a shell, wherever they stand.
const HARMLESS: &str = "_-./:@%+,=";
/// Signs that a pattern may let in, and that make a program of a value.
const PROGRAM: &str = ";&|<>()$`\\\"'\n";

fn means_something(c: char) -> bool {
    !c.is_alphanumeric() && !HARMLESS.contains(c)
}

impl Pattern {
    /// Whether that sign stands in it as itself: among others in brackets, or behind a backslash. What a dot, a range or a class of
    /// all but some lets through was not thought of one by one.
    fn names(&self, wanted: char) -> bool {
        let mut chars = self.text.chars().peekable();
        let (mut class, mut but) = (false, false);
        while let Some(c) = chars.next() {
            let literal = match c {
                '\\' => match chars.next() {
                    Some('s') => Some(' '),
                    Some(c) if !c.is_alphanumeric() => Some(c),
                    _ => None,
                },
                '[' if !class => {
                    class = true;
                    but = chars.next_if_eq(&'^').is_some();
                    None
                }
                ']' if class => {
                    class = false;
                    None
                }
                '-' if class => None,
                c if class => Some(c).filter(|_| !but),
                '.' | '*' | '+' | '?' | '(' | ')' | '|' | '^' | '$' | '{' | '}' => None,
                c => Some(c),
            };
            if literal == Some(wanted) {
                return true;
            }
        }
        false
    }
}

/// What of a value means something to a shell and is not named by its pattern, in words.
fn refused(value: &str, param: Option<&Param>) -> Option<String> {
    let pattern = param.and_then(|param| param.pattern.as_ref());
    let named = |c: char| pattern.is_some_and(|pattern| pattern.names(c));
    if value.is_empty() && !pattern.is_some_and(|pattern| pattern.matches("") && !pattern.matches("; a")) {
        return Some("an empty word is none to it".to_owned());
    }
    let sign = value.chars().find(|c| means_something(*c) && !named(*c))?;
    Some(format!("{sign:?} means something to it"))
}

impl Run {
    /// The texts in it that a shell reads: all of it, or the word behind `-c`, or what ssh hands on.
    fn shell_texts(&self) -> Vec<&Template> {
        let words = match self {
            Run::Shell(text) => return vec![text],
            Run::Argv(words) => words,
        };
        let program = |word: &Template| word.text().rsplit('/').next().unwrap_or_default().to_owned();
        let mut texts = vec![];
        for (index, word) in words.iter().enumerate() {
            let name = program(word);
            let rest = || words[index + 1..].iter();
            let text = match name.as_str() {
                "su" | "runuser" => rest().skip_while(|word| word.text() != "-c").nth(1),
                name if is_shell(name) => {
                    let text = inner(name, rest().map(Template::text));
                    rest().find(|word| Some(word.text()) == text)
                }
                _ => None,
            };
            texts.extend(text);
        }
        if words.first().is_some_and(|word| program(word) == "ssh") {
            texts.extend(&words[1..]);
        }
        texts
    }

    /// The parameters that stand in a text for a shell.
    pub fn names_in_shell(&self) -> BTreeSet<String> {
        self.shell_texts().into_iter().flat_map(Template::names).collect()
    }
}

impl Step {
    /// The parameters that stand in a text for a shell, in anything that it may run.
    fn names_in_shell(&self) -> BTreeSet<String> {
        let rehearse = self.runs().and_then(|runs| runs.rehearse.as_ref());
        let rollback = self.rollback.iter().flat_map(|rollback| &rollback.rehearse);
        let preview = self.preview.iter().flat_map(|preview| &preview.rehearse);
        let all = self.commands().chain(rehearse).chain(rollback).chain(preview);
        all.flat_map(|command| command.run.names_in_shell()).collect()
    }
}

impl Plan {
    /// The parameters that stand in a text for a shell, anywhere.
    pub fn names_in_shell(&self) -> BTreeSet<String> {
        let watches = self.watches.iter().filter_map(|watch| match &watch.kind {
            WatchKind::Command { run, .. } => Some(run),
            WatchKind::Credential(credential) => match &credential.source {
                CredentialSource::Command(run) => Some(run),
                _ => None,
            },
            _ => None,
        });
        let notify = self.notify.iter().filter_map(|notify| match &notify.by {
            NotifyBy::Command(command) => Some(&command.run),
            NotifyBy::Webhook(_) => None,
        });
        let secrets = self.secrets.values().filter_map(|source| match source {
            SecretSource::Command(command) => Some(&command.run),
            _ => None,
        });
        let others = watches.chain(notify).chain(secrets).flat_map(Run::names_in_shell);
        self.steps.iter().flat_map(Step::names_in_shell).chain(others).collect()
    }

    /// Why that value cannot stand in the plan's texts for a shell; nothing where it stands in none, or can.
    pub fn value_in_shell(&self, name: &str, value: &str) -> Option<String> {
        if !self.names_in_shell().contains(name) {
            return None;
        }
        Some(told(name, value, &refused(value, self.params.get(name))?))
    }

    /// The same for a step with all its values.
    pub fn values_in_shell(&self, step: &Step, params: &Params) -> Option<String> {
        step.names_in_shell().into_iter().find_map(|name| {
            let value = params.get(&name)?;
            Some(told(&name, value, &refused(value, self.params.get(&name))?))
        })
    }

    /// What a plan may not have that is flown from now on. A kept transcript may be of a plan that has it, and is read all the same.
    pub fn refused(&self, origin: &str) -> Result<(), PlanError> {
        let root = DeTable::parse(&self.text).ok();
        let named = self.names_in_shell();
        let own = self.params.iter().filter(|(name, _)| named.contains(*name)).flat_map(|(name, param)| {
            let rehearsal = param.rehearsal.as_ref().map(|value| ("rehearsal", "value in a rehearsal", value));
            let default = param.default.as_ref().map(|value| ("default", "default", value));
            default.into_iter().chain(rehearsal).map(move |own| (name, param, own))
        });
        let problems = own.filter_map(|(name, param, (key, words, value))| {
            let why = refused(value, Some(param))?;
            let at = || {
                let params = root.as_ref()?.get_ref().get("params")?.get_ref().as_table()?;
                Some(params.get(name.as_str())?.get_ref().as_table()?.get(key)?.span())
            };
            Some(Problem {
                span: at().unwrap_or(0..0),
                message: format!("the {words} of `{name}` stands in a text for a shell"),
                label: why,
                help: Some(HELP.to_owned()),
            })
        });
        let problems: Vec<_> = problems.collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(PlanError::new(origin, &self.text, problems)),
        }
    }

    /// What the patterns of parameters in texts for a shell let through, in words: its name, and what is unwise.
    pub(super) fn loose_patterns(&self) -> Vec<(String, String)> {
        let named = self.names_in_shell();
        let patterns = self.params.iter().filter(|(name, _)| named.contains(*name));
        let told = patterns.filter_map(|(name, param)| {
            let pattern = param.pattern.as_ref()?;
            if let Some(sign) = PROGRAM.chars().find(|c| pattern.names(*c)) {
                return Some((name.clone(), format!("the pattern of {name} lets {sign:?} into a text for a shell")));
            }
            let loose = pattern.matches("; a") || pattern.matches(";") || pattern.matches("a;b");
            loose.then(|| {
                (name.clone(), format!("the pattern of {name} does not say which signs a text for a shell may get"))
            })
        });
        told.collect()
    }
}

const HELP: &str = "write the command as a list of words, such as run = [\"rm\", \"-r\", \"/data/{{ x }}\"], in which a value is one \
                    word whatever it holds; or name the sign in the parameter's `pattern`";

fn told(name: &str, value: &str, why: &str) -> String {
    format!("{name} = {value:?} would stand in a text for a shell, and {why}; {HELP}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(pattern: Option<&str>) -> Param {
        Param { default: None, rehearsal: None, pattern: pattern.map(|text| Pattern::new(text).unwrap()) }
    }

    #[test]
    fn a_value_holds_nothing_that_means_anything_to_a_shell() {
        for value in ["customers_v42", "2026-11-01T10:00:00", "a/b.c", "100%", "ana@x", "größe", "k=v,w"] {
            assert_eq!(refused(value, Some(&param(None))), None, "{value}");
        }
        let signs = ";&|<>()$`\\\"' \t*?[]#~!{}^";
        for sign in signs.chars() {
            let value = format!("a{sign}b");
            assert!(refused(&value, Some(&param(None))).is_some(), "{value}");
            assert!(refused(&value, None).is_some(), "{value}");
            // What lets everything through consents to nothing.
            for loose in [".*", "[^x]*", "[!-z]*|.*", "(?s).+"].into_iter().filter(|loose| !loose[1..2].contains(sign))
            {
                assert!(refused(&value, Some(&param(Some(loose)))).is_some(), "{value} {loose}");
            }
            let escape = if "\\[]^".contains(sign) { "\\" } else { "" };
            let named = format!("[ab{escape}{sign}]*");
            if sign != '\t' {
                assert_eq!(refused(&value, Some(&param(Some(&named)))), None, "{named}");
            }
        }
        assert!(refused("", Some(&param(None))).is_some(), "rm -rf /data/");
        assert!(refused("", Some(&param(Some(".*")))).is_some());
        assert_eq!(refused("", Some(&param(Some("(-[a-z]+)?")))), None);
        assert_eq!(refused("a b", Some(&param(Some("[a-z]+\\s[a-z]+")))), None);
        assert!(
            refused("a|b", Some(&param(Some("(a|b|a.b)+")))).is_some(),
            "a sign of the pattern is none of the value"
        );
    }

    #[test]
    fn texts_for_a_shell_are_found_wherever_they_stand() {
        let run = |words: &[&str]| Run::Argv(words.iter().map(|word| Template::new(word).unwrap()).collect());
        let names = |run: Run| run.names_in_shell().into_iter().collect::<Vec<_>>().join(",");
        assert_eq!(names(Run::Shell(Template::new("rm {{ x }} {{ y }}").unwrap())), "x,y");
        assert_eq!(names(run(&["rm", "-rf", "/data/{{ x }}"])), "");
        assert_eq!(names(run(&["sh", "-c", "rm {{ x }}", "{{ y }}"])), "x");
        assert_eq!(names(run(&["/bin/bash", "-eu", "-o", "pipefail", "-c", "rm {{ x }}"])), "x");
        assert_eq!(names(run(&["docker", "exec", "{{ y }}", "sh", "-c", "rm {{ x }}"])), "x");
        assert_eq!(names(run(&["ssh", "db1", "rm {{ x }}", "{{ y }}"])), "x,y");
        assert_eq!(names(run(&["su", "app", "-c", "rm {{ x }}"])), "x");
        assert_eq!(names(run(&["sh", "do.sh", "{{ x }}"])), "");
    }
}

//! `kind = "compare"`: readings of other watches against each other. [`read`] takes the table; [`resolve`] looks at all
//! watches together afterwards: what is named exists, nothing rests on itself, and units agree.

use super::super::readers::unknown_id;
use super::super::table::{Context, Span, Table, Value};
use super::super::{Formula, Relation, Watch, WatchKind};
use crate::name::WatchId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Compares of compares of compares: each rung doubles how long a reading that was asked for may take.
const RUNGS_MAX: usize = 3;

/// What a `compare` watch holds against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// The formula as it is written.
    pub text: String,
    /// The same, read.
    pub formula: Formula,
    /// How far apart two sides may be that count as equal, as a share of the larger.
    pub within: Option<f64>,
}

/// Takes the kind's own keys.
pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let assert = table.require("assert", "expected assert = \"a-watch == another-watch\"").and_then(|assert| {
        let text = assert.words()?;
        match Formula::parse(&text) {
            Ok(formula) if formula.watches().is_empty() => {
                assert.wrong("this formula reads no watch", "expected the id of one")
            }
            Ok(formula) => Some((text, formula)),
            Err(error) => {
                assert.cx.problem(assert.slice(error.at), error.message, error.label);
                None
            }
        }
    });
    let within = table.get("within").and_then(|within| {
        let share = within.number(1.0)?;
        match assert.as_ref().map(|(_, formula)| formula.relation) {
            Some(Relation::Equal | Relation::Unequal) | None => Some(share),
            Some(other) => {
                let message = format!("`within` says what counts as equal, and `{}` does not ask that", other.word());
                within.wrong(message, "write the difference into the formula")
            }
        }
    });
    let (text, formula) = assert?;
    Some(WatchKind::Compare(Compare { text, formula, within }))
}

/// The unit of that kind's values, where the plan alone tells it; empty where it does not.
fn unit(kind: &WatchKind) -> &str {
    match kind {
        WatchKind::Prometheus(prometheus) => &prometheus.unit,
        WatchKind::Tcp { .. } => "ms",
        WatchKind::Http(http) if http.value.is_none() => "ms",
        WatchKind::File { .. } | WatchKind::Restic(_) | WatchKind::PgDump(_) => "B",
        WatchKind::Credential(_) | WatchKind::Session(_) => "s",
        WatchKind::KafkaRetention(retention) if !retention.rises => "s",
        WatchKind::KafkaLag { .. } => "messages",
        _ => "",
    }
}

/// Looks at what the compares name. `known` are the ids of all tables, in their order, also of those that were refused.
/// A compare that does not say when it is stale is good for as long as what it reads.
pub(in crate::plan) fn resolve(tables: &[Value<'_>], known: &[Option<WatchId>], watches: &mut [Option<Watch>]) {
    let index: BTreeMap<WatchId, usize> =
        known.iter().enumerate().rev().filter_map(|(index, id)| Some((id.clone()?, index))).collect();
    let named: Vec<Vec<WatchId>> = watches
        .iter()
        .map(|watch| match watch.as_ref().map(|watch| &watch.kind) {
            Some(WatchKind::Compare(compare)) => compare.formula.watches().into_iter().cloned().collect(),
            _ => vec![],
        })
        .collect();
    for (table, named) in tables.iter().zip(&named) {
        let Some(assert) = table.field("assert") else { continue };
        for id in named.iter().filter(|id| !index.contains_key(*id)) {
            unknown(assert.cx, assert.part(id.as_str()), id, &index);
        }
    }
    let mut graph = Graph { index: &index, named: &named, rungs: BTreeMap::new() };
    for at in 0..named.len() {
        if let Err(round) = graph.rungs(at, &mut vec![]) {
            if let Some(assert) = round.first().and_then(|first| tables.get(*first)?.field("assert")) {
                let names = round.iter().chain(round.first()).filter_map(|at| known[*at].as_ref());
                let round: Vec<&str> = names.map(WatchId::as_str).collect();
                assert.wrong::<()>("this comparison rests on itself", round.join(" reads "));
            }
            return; // everything that rests on that round would say the same
        }
    }
    let rungs = graph.rungs;
    if let Some((at, _)) = rungs.iter().find(|(_, rungs)| **rungs > RUNGS_MAX)
        && let Some(assert) = tables[*at].field("assert")
    {
        let label = format!("expected at most {RUNGS_MAX} compares on top of each other");
        return assert.wrong::<()>("a comparison of too many comparisons", label).unwrap_or_default();
    }
    if watches.iter().any(Option::is_none) {
        return;
    }
    let units: BTreeMap<&WatchId, &str> =
        watches.iter().flatten().map(|watch| (&watch.id, unit(&watch.kind))).collect();
    for (table, watch) in tables.iter().zip(watches.iter().flatten()) {
        if let WatchKind::Compare(compare) = &watch.kind
            && let Err(why) = compare.formula.units(&|id| units.get(id).copied().unwrap_or_default().to_owned())
            && let Some(assert) = table.field("assert")
        {
            assert.wrong::<()>(format!("the units of this formula do not agree: {why}"), "expected the same unit");
        }
    }
    // From the lowest rung up, so that a compare of compares sees what those were given.
    let mut order: Vec<(usize, usize)> = rungs.into_iter().map(|(at, rungs)| (rungs, at)).collect();
    order.sort_unstable();
    order.retain(|(rungs, _)| *rungs > 0);
    for (_, at) in order {
        let reads = |what: fn(&Watch) -> Duration| {
            let read = named[at].iter().filter_map(|id| watches.get(*index.get(id)?)?.as_ref());
            read.map(what).max().unwrap_or_default()
        };
        let (stale, every) = (reads(|watch| watch.stale_after), reads(|watch| watch.every));
        let Some(watch) = watches[at].as_mut() else { continue };
        match tables[at].field("stale_after") {
            None => watch.stale_after = watch.stale_after.max(stale.saturating_add(watch.every)),
            Some(given) if watch.stale_after <= every => {
                let label = format!("expected more than {every:?}, how often it is read");
                given.wrong::<()>("what this compares would be stale before it is read again", label);
            }
            Some(_) => {}
        }
    }
}

fn unknown(cx: &Context<'_>, at: Span, id: &WatchId, index: &BTreeMap<WatchId, usize>) {
    let known: Vec<&str> = index.keys().map(WatchId::as_str).collect();
    let label = unknown_id(cx, id.as_str(), &known);
    let message = format!("there is no watch \"{id}\"");
    match id.as_str().contains('-') {
        true => cx.problem_with_help(at, message, label, "an id may hold `-`; to subtract, put blanks around it"),
        false => cx.problem(at, message, label),
    }
}

/// Which watch rests on which.
struct Graph<'a> {
    index: &'a BTreeMap<WatchId, usize>,
    named: &'a [Vec<WatchId>],
    rungs: BTreeMap<usize, usize>,
}

impl Graph<'_> {
    /// How many compares stand on top of each other here, or the round on which one rests on itself.
    fn rungs(&mut self, at: usize, path: &mut Vec<usize>) -> Result<usize, Vec<usize>> {
        if let Some(known) = self.rungs.get(&at) {
            return Ok(*known);
        }
        if let Some(from) = path.iter().position(|seen| *seen == at) {
            return Err(path[from..].to_vec());
        }
        path.push(at);
        let named = self.named;
        let mut rungs = 0;
        for next in named[at].iter().filter_map(|id| self.index.get(id)) {
            rungs = rungs.max(1 + self.rungs(*next, path)?);
        }
        path.pop();
        self.rungs.insert(at, rungs);
        Ok(rungs)
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Plan;
    use std::time::Duration;

    const HEAD: &str =
        "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\nshadow = []\n";

    fn plan(watches: &[(&str, &str)]) -> Result<Plan, String> {
        let watches = watches.iter().map(|(id, rest)| format!("[[watch]]\nid = \"{id}\"\n{rest}\n"));
        let text = format!("{HEAD}{}", watches.collect::<String>());
        Plan::parse("plan.toml", &text).map_err(|error| error.to_string())
    }
    fn compare(assert: &str) -> String {
        format!("kind = \"compare\"\nassert = \"{assert}\"")
    }
    const LAG: &str = "kind = \"kafka-lag\"\nbrokers = \"b:1\"\ngroup = \"g\"\ntopics = [\"t\"]\nevery = \"20s\"";
    const TCP: &str = "kind = \"tcp\"\naddress = \"h:1\"";

    #[test]
    fn what_is_compared_exists_and_has_one_unit() {
        for (assert, told) in [
            ("lag - port < 5", "messages and ms do not go together"),
            ("lag == prt", "did you mean \"port\"?"),
            ("lag-port < 5", "to subtract, put blanks around it"),
            ("lag == ", "expected the id of a watch, a number or a bracket"),
        ] {
            let error = plan(&[("lag", LAG), ("port", TCP), ("both", &compare(assert))]).unwrap_err();
            assert!(error.contains(told), "{assert}: {error}");
        }
        let error = plan(&[("lag", LAG), ("both", &compare("lag + 1 == lag % 3"))]).unwrap_err();
        let under = error.lines().find(|line| line.contains('^')).unwrap();
        let line = error.lines().find(|line| line.contains("assert =")).unwrap();
        assert_eq!(under.find('^'), line.find('%'), "the very character is underlined:\n{error}");
    }

    #[test]
    fn only_what_asks_for_equality_has_a_tolerance() {
        let with = |assert: &str| plan(&[("lag", LAG), ("both", &format!("{}\nwithin = 0.1", compare(assert)))]);
        assert!(with("lag == 100").is_ok());
        assert!(with("lag < 100").unwrap_err().contains("`within` says what counts as equal, and `<` does not ask"));
    }

    #[test]
    fn nothing_rests_on_itself() {
        let error = plan(&[("a", &compare("b < 1")), ("b", &compare("c < 1")), ("c", &compare("1 > b"))]).unwrap_err();
        assert!(error.contains("b reads c reads b"), "{error}");
        let deep: Vec<_> = (1..=4).map(|n| (format!("w{n}"), compare(&format!("w{} < 1", n - 1)))).collect();
        let mut watches = vec![("w0", TCP)];
        watches.extend(deep.iter().map(|(id, text)| (id.as_str(), text.as_str())));
        assert!(plan(&watches).unwrap_err().contains("at most 3 compares"));
        watches.pop();
        assert!(plan(&watches).is_ok());
        // As many as a plan may have, each naming all that follow: nothing is walked twice.
        let ids: Vec<String> = (0..100).map(|n| format!("w{n}")).collect();
        let texts: Vec<String> = (0..100)
            .map(|n| compare(&format!("0 < {}", [&ids[n + 1..], &["x".to_owned()]].concat().join("+"))))
            .collect();
        let watches: Vec<_> = ids.iter().zip(&texts).map(|(id, text)| (id.as_str(), text.as_str())).collect();
        assert!(plan(&[&watches[..], &[("x", TCP)]].concat()).unwrap_err().contains("at most 3 compares"));
    }

    #[test]
    fn it_is_good_for_as_long_as_what_it_reads() {
        let over = compare("both == 0");
        let plan_of = |more: &str| {
            let both = format!("{}\n{more}", compare("lag < 5"));
            plan(&[("over", &over), ("lag", LAG), ("both", &both)])
        };
        let plan = plan_of("").unwrap();
        let stale: Vec<_> = plan.watches.iter().map(|watch| watch.stale_after.as_secs()).collect();
        assert_eq!(stale, [70, 60, 65], "each a period longer than what it reads");
        assert_eq!(plan_of("stale_after = \"30s\"").unwrap().watches[2].stale_after, Duration::from_secs(30));
        assert!(plan_of("stale_after = \"20s\"").unwrap_err().contains("stale before it is read again"));
    }
}

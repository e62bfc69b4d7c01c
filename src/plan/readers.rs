//! What several tables of a plan are read with: people, an id that has to be known, a text that has to say something.

use super::Template;
use super::table::{Context, Value};
use crate::name::{Principal, WatchId};
use std::collections::BTreeSet;

/// People, each once; never the hub.
pub(super) fn read_principals(value: &Value<'_>) -> Option<Vec<Principal>> {
    let items = value.items("names")?;
    let mut seen = BTreeSet::new();
    let names = items.iter().map(|item| {
        let name: Principal = item.name()?;
        if name.is_hub() {
            return item.wrong("\"hub\" is what the hub signs as", "expected a person");
        }
        if !seen.insert(name.clone()) {
            return item.wrong(format!("{name} is named twice"), format!("already in `{}`", item.key));
        }
        Some(name)
    });
    // All of them are read before any missing one ends the list, so that each wrong name is told.
    names.collect::<Vec<_>>().into_iter().collect()
}

/// What to say beside an id that names nothing.
pub(super) fn unknown_id(cx: &Context<'_>, id: &str, known: &[&str]) -> String {
    match cx.nearest(id, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "the plan has none".to_owned(),
        None if known.len() > 20 => format!("expected one of {}, such as {:?}", known.len(), known[0]),
        None => format!("expected one of: {}", known.join(", ")),
    }
}

/// The id of a watch of the plan.
pub(super) fn known_watch(name: &Value<'_>, watches: &[&str]) -> Option<WatchId> {
    let watch: WatchId = name.name()?;
    if !watches.contains(&watch.as_str()) {
        let label = unknown_id(name.cx, watch.as_str(), watches);
        return name.wrong(format!("there is no watch {:?}", watch.as_str()), label);
    }
    Some(watch)
}

/// A text in which something stands.
pub(super) fn non_empty(value: &Value<'_>) -> Option<Template> {
    let template = value.template(false)?;
    match template.text().trim() {
        "" => value.wrong(format!("`{}` is empty", value.key), "expected some text"),
        _ => Some(template),
    }
}

//! `kind = "process"`: a service on the hub's machine. Start at [`read`].

use super::super::table::Table;
use super::super::{Template, WatchKind};
use super::non_empty;

/// A service that must be alive, by its name, its pid file, or both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Process {
    /// What the kernel calls it.
    pub name: Option<Template>,
    /// Where it wrote its number; relative to the plan's folder.
    pub pid_file: Option<Template>,
    /// Whom it runs as: a name or a number.
    pub user: Option<Template>,
    /// Restarts since the hub started that are `warn`; more are `fail`. They are only counted where none is given.
    pub max_restarts: Option<u64>,
}

/// Takes the kind's own keys.
pub(super) fn read(table: &Table<'_>) -> Option<WatchKind> {
    let text = |key| table.get(key).map_or(Some(None), |value| non_empty(&value).map(Some));
    let (name, pid_file, user) = (text("name"), text("pid_file"), text("user"));
    if table.get("name").is_none() && table.get("pid_file").is_none() {
        let message = "this watch does not say which process";
        table.cx.problem(table.span.clone(), message, "expected name = \"…\" or pid_file = \"…\"");
    }
    let max_restarts = table.get("max_restarts").and_then(|most| most.integer(0..=u64::MAX));
    Some(WatchKind::Process(Process { name: name?, pid_file: pid_file?, user: user?, max_restarts }))
}

//! The end of a run: of the command itself, then of everything else in its session; and what is left after that.

use super::keeper::{Child, Member};
use super::shared::{Report, Shared, State};
use crate::event::{LeftSeen, ProcessSeen, RunEnd};
use std::io;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

/// How long a command may take to leave after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Everything else in the session often ends a moment after the command: so long nobody is told.
const UNTOLD: Duration = Duration::from_millis(500);
/// What left the session and ends by itself within that time was not left.
const LEAVING: Duration = Duration::from_millis(500);
/// The keeper has children, and none of them is to be seen: so long that may be a matter of looking at the wrong moment.
const HIDDEN: Duration = Duration::from_secs(2);
/// Between two looks at what still lives: at first, and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// Waits for the end, and says so.
pub(super) struct Ending {
    pub child: Child,
    pub shared: Arc<Shared>,
    pub timeout_ms: Option<u64>,
    /// The plan has something left: the run ends with the command itself.
    pub leaves: bool,
    pub reports: Sender<Report>,
    pub ended: mpsc::Sender<RunEnd>,
    /// Closed, which wakes the reader, after `ended` has been sent.
    pub woken: io::PipeWriter,
}

impl Ending {
    pub(super) fn run(mut self) {
        let status = self.child.wait();
        let end = {
            let mut state = self.shared.state();
            state.gone = true;
            state.end(&status, self.timeout_ms)
        };
        let left = self.others(&end);
        let end = {
            let mut state = self.shared.state();
            (state.over, state.left) = (true, !left.is_nothing());
            state.end(&status, self.timeout_ms)
        };
        self.shared.changed.notify_all();
        if !left.is_nothing() {
            // Before the end, which the reader tells. Where nobody listens any more, nobody is to be told.
            let _ = self.reports.blocking_send(Report::Left(left));
        }
        let Ending { child, reports, ended, woken, .. } = self;
        drop(reports);
        let _ = ended.send(end); // the reader takes it, or has died of a bug; nobody else could be told
        drop(woken);
        child.reap();
    }

    /// Waits until nothing is left in the session, and tells of who is waited for. What is left outside of it.
    fn others(&mut self, end: &RunEnd) -> LeftSeen {
        let began = Instant::now();
        let mut pause = LOOKS.0;
        let mut told = vec![];
        let (mut asked, mut empty) = (false, None::<Instant>);
        while !self.child.is_alone_within(pause) {
            pause = (pause * 2).min(LOOKS.1);
            let family = self.child.family();
            let (interrupted, forced) = {
                let State { asked, forced, .. } = &*self.shared.state();
                (*asked, *forced)
            };
            // Whoever had the command interrupted meant all of it, and a shell keeps its jobs from hearing Ctrl-C.
            match (forced, interrupted && !asked) {
                (true, _) => family.kill(),
                (false, true) => family.ask(),
                (false, false) => {}
            }
            asked |= interrupted;
            let inside = if self.leaves { vec![] } else { family.others_inside() };
            if inside.is_empty() {
                let since = *empty.get_or_insert_with(Instant::now);
                if let Some(left) = self.left(since) {
                    return left;
                }
                continue;
            }
            empty = None;
            if began.elapsed() >= UNTOLD {
                self.tell(end, &inside, &mut told);
            }
        }
        LeftSeen::default()
    }

    /// What is left where the session has been empty since then; nothing while that may pass.
    fn left(&self, since: Instant) -> Option<LeftSeen> {
        if self.child.lost {
            return Some(LeftSeen::unseen("whatever left its session, which nobody knows: its keeper was killed"));
        }
        if since.elapsed() < LEAVING {
            return None;
        }
        let named: Vec<_> = self.child.family().orphans().iter().filter_map(Member::seen).collect();
        match named.is_empty() {
            false => Some(LeftSeen::of(named)),
            true if since.elapsed() < HIDDEN => None,
            true => Some(LeftSeen::unseen("something that does not show who it is")),
        }
    }

    /// Tells of who is waited for, where those are others than before.
    fn tell(&self, end: &RunEnd, inside: &[Member], told: &mut Vec<ProcessSeen>) {
        // Those at the root: what they start in turn comes and goes, and would be told for ever.
        let roots: Vec<_> = inside.iter().filter(|member| self.child.family().is_root(member)).collect();
        let shown = if roots.is_empty() { inside.iter().collect() } else { roots };
        let now: Vec<_> = shown.into_iter().filter_map(Member::seen).collect();
        if now.is_empty() || now.iter().map(|it| &it.process).eq(told.iter().map(|it| &it.process)) {
            return;
        }
        told.clone_from(&now);
        let _ = self.reports.blocking_send(Report::Waits(end.clone(), LeftSeen::of(now)));
    }
}

/// SIGTERM after the timeout, SIGKILL to all of it after the grace.
pub(super) fn end_by_force(shared: &Shared, timeout: Duration) {
    let running = |state: &mut State| !state.over;
    let wait = |state, time| {
        let result = shared.changed.wait_timeout_while(state, time, running);
        result.unwrap_or_else(PoisonError::into_inner).0
    };
    let mut state = wait(shared.state(), timeout);
    if state.over {
        return;
    }
    state.timed_out = true;
    state.family.terminate();
    let mut state = wait(state, GRACE);
    if !state.over {
        state.forced = true; // whoever is started meanwhile too
        state.family.kill();
    }
}

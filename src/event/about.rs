//! What events are about: each kind is placed once, in a group. A match that passes whole groups over says so with their
//! patterns (`about::crew!()`), and names one by one what it passes over of the groups that it looks into. So a new kind of a
//! group that somebody looks into does not compile until it is decided, and nothing needs a `_`.

use super::Event;

/// Declares [`Event::kind`] (the name that stands in the line), [`About`], and a pattern for each group.
macro_rules! groups {
    ($($(#[$doc:meta])* $group:ident $pattern:ident: $($kind:ident),* $(,)?;)*) => {
        impl Event {
            /// Every kind this version knows, as it stands in a line.
            pub const KINDS: &'static [&'static str] = &[$($(stringify!($kind)),*),*];
            /// This event's kind, as it stands in its line.
            pub fn kind(&self) -> &'static str {
                match self { $($(Event::$kind { .. } => stringify!($kind)),*),* }
            }
            /// What it is about.
            pub fn about(&self) -> About {
                match self { $($(Event::$kind { .. })|* => About::$group),* }
            }
        }

        /// What an event is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum About { $($(#[$doc])* $group),* }

        $(
            macro_rules! $pattern { () => { $($crate::event::Event::$kind { .. })|* } }
            pub(crate) use $pattern;
        )*
    };
}
groups!(
    /// The session as a whole: its beginning, its hub, its end.
    Session session:
        SessionOpened, Recovered, StopAsked, PlanChanged, ClockJumped, CloseCalled, CloseSigned, SessionClosed;
    /// Who is here, with which key, and who leads.
    Crew crew:
        Joined, Left, KeyRefused, ReadmitAgreed, Readmitted, LinkSilent, AttentionChanged, HandoverAgreed, LeadHandedOver,
        LeadGone;
    /// What is in order before the first critical step.
    Preflight preflight: SeatTaken, ChecklistAnswered, AvailabilityStated, PollCalled, PollAnswered;
    /// What is said, and what is refused.
    Said said: Noted, Marked, Refused;
    /// What watches read, and what follows for gates and ways back.
    Watches watches: ReadingTaken, GateTurned, AnchorTaken, RecoveryTurned;
    /// What the lead changes of the plan.
    Changes changes: ParamSet, StepEdited, StepAdded;
    /// A step from being armed to being cleared, or left out.
    Check check:
        StepArmed, CheckOpened, ReadBack, CrossChecked, Objected, Withdrawn, StepVoided, GateWaived, SkipAgreed,
        StepSkipped, BreakGlass, StepCleared;
    /// A step from the press of run to its end.
    Run run:
        RunRequested, RunIntended, BatchIntended, BatchesEnded, RunStarted, OutputWritten, InputWritten, InputLost,
        AnswerAwaited, Resized, RunInterrupted, RunEnded, OutcomeUnknown, ProcessGone, OthersAwaited, LeftBehind, LeftGone, DoneByHand, WaitStarted, WaitEnded;
    /// What a step that ran comes to: verified, undone, settled.
    After after:
        ProbeIntended, ProbeEnded, VerifyStarted, VerifyEnded, RollbackIntended, RollbackEnded, SettleAgreed, Acknowledged;
    /// The line, stopped and let go on.
    Line line: AndonPulled, AndonReleased, LineHeld, LineFreed;
    /// What proves all of it.
    Evidence evidence: HubVouched, CheckpointSigned;
    /// Who else was told.
    Told told: Notified, NotifyFailed;
);

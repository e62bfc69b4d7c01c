//! The step that an event is about.

use super::Event;
use crate::name::StepId;

impl Event {
    /// The step it is about; none where it is about no step, or about whichever runs.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Event::StepEdited { step, .. }
            | Event::StepAdded { step, .. }
            | Event::StepArmed { step, .. }
            | Event::CheckOpened { step, .. }
            | Event::ReadBack { step, .. }
            | Event::CrossChecked { step, .. }
            | Event::Objected { step, .. }
            | Event::Withdrawn { step, .. }
            | Event::StepVoided { step, .. }
            | Event::GateWaived { step, .. }
            | Event::SkipAgreed { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::BreakGlass { step, .. }
            | Event::StepCleared { step, .. }
            | Event::RunRequested { step, .. }
            | Event::RunIntended { step, .. }
            | Event::BatchIntended { step, .. }
            | Event::BatchesEnded { step, .. }
            | Event::RunStarted { step, .. }
            | Event::OutputWritten { step, .. }
            | Event::InputWritten { step, .. }
            | Event::InputLost { step, .. }
            | Event::AnswerAwaited { step, .. }
            | Event::OthersAwaited { step, .. }
            | Event::LeftBehind { step, .. }
            | Event::LeftGone { step, .. }
            | Event::RunInterrupted { step, .. }
            | Event::RunEnded { step, .. }
            | Event::OutcomeUnknown { step, .. }
            | Event::ProcessGone { step, .. }
            | Event::DoneByHand { step, .. }
            | Event::WaitStarted { step, .. }
            | Event::WaitEnded { step, .. }
            | Event::ProbeIntended { step, .. }
            | Event::ProbeEnded { step, .. }
            | Event::VerifyStarted { step, .. }
            | Event::VerifyEnded { step, .. }
            | Event::RollbackIntended { step, .. }
            | Event::RollbackEnded { step, .. }
            | Event::SettleAgreed { step, .. }
            | Event::Acknowledged { step, .. } => Some(step),
            Event::SessionOpened { .. }
            | Event::Recovered { .. }
            | Event::ClockJumped { .. }
            | Event::PlanChanged { .. }
            | Event::StopAsked {}
            | Event::CloseCalled { .. }
            | Event::CloseSigned { .. }
            | Event::SessionClosed { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::AttentionChanged { .. }
            | Event::KeyRefused { .. }
            | Event::ReadmitAgreed { .. }
            | Event::Readmitted { .. }
            | Event::LinkSilent { .. }
            | Event::LeadGone { .. }
            | Event::SeatTaken { .. }
            | Event::ChecklistAnswered { .. }
            | Event::AvailabilityStated { .. }
            | Event::PollCalled { .. }
            | Event::PollAnswered { .. }
            | Event::HandoverAgreed { .. }
            | Event::LeadHandedOver { .. }
            | Event::Noted { .. }
            | Event::Marked { .. }
            | Event::Refused { .. }
            | Event::ReadingTaken { .. }
            | Event::GateTurned { .. }
            | Event::AnchorTaken { .. }
            | Event::RecoveryTurned { .. }
            | Event::ParamSet { .. }
            | Event::Resized { .. }
            | Event::AndonPulled { .. }
            | Event::AndonReleased { .. }
            | Event::LineHeld { .. }
            | Event::LineFreed { .. }
            | Event::HubVouched { .. }
            | Event::CheckpointSigned { .. }
            | Event::Notified { .. }
            | Event::NotifyFailed { .. } => None,
        }
    }
}

//! What a request becomes: events or a refusal. Pure, like the fold.
//!
//! [`rule`] is the list of it all: for each request its guards, most in the way first, and what it becomes where they all
//! let it pass. [`decide`] and [`may`] read the same list.

use super::guard::{self, Ask, Guard, Reasons};
use super::refusal::Refusal;
use super::request::{Author, Request};
use super::{
    REFUSAL_WINDOW, REFUSALS_PER_WINDOW, Session, arming, checks, freezing, glass, line, people, preflight, probe,
    readback, readmit, rollback, running, settling, skip, twin, typing, waive,
};
use crate::clock::At;
use crate::event::{Event, Settled};
use crate::name::Principal;

/// What holds for every request.
const ALWAYS: &[Guard] = &[
    guard::session_is_open,
    guard::end_is_not_called,
    readmit::key_is_not_out,
    guard::words_fit,
    guard::words_are_there,
    guard::observers_only_watch,
    guard::a_seat_has_its_own,
];

/// What starts and what is checked has to pass.
const MAY_START: &[Guard] = &[guard::nothing_runs, guard::nothing_is_owed, guard::gates_hold, preflight::poll_is_go];

const ARM: &[Guard] = &[
    guard::by_the_lead,
    guard::hub_goes_on,
    guard::step_is_known,
    freezing::line_lets_arm,
    freezing::is_to_be_done,
    freezing::nothing_else_is_armed,
    guard::nothing_runs,
    guard::nothing_is_owed,
    freezing::those_before_are_over,
    freezing::deviation_is_accounted_for,
    guard::gates_hold,
    preflight::poll_is_go,
    freezing::what_was_frozen_fits,
];

const RUN: &[Guard] =
    &[guard::by_the_lead, guard::hub_goes_on, guard::attempt_is_open, running::is_cleared, running::line_lets_run];

const SETTLE: &[Guard] = &[
    guard::step_is_known,
    settling::is_not_its_lead,
    settling::may_take_note,
    settling::a_word_is_owed,
    settling::process_is_gone,
];

const SETTLE_DONE: &[Guard] = &[
    guard::step_is_known,
    settling::may_say_done,
    waive::second_has_a_key_of_their_own,
    settling::a_word_is_owed,
    settling::was_not_undone,
    settling::process_is_gone,
];

/// The guards of a request, beside those that hold for every one.
fn guards(request: &Request) -> [&'static [Guard]; 3] {
    let (first, then): (&[Guard], &[Guard]) = match request {
        Request::Arm { .. } => (ARM, &[]),
        Request::AdHoc { .. } => (
            &[guard::by_the_lead, arming::texts_fit, arming::not_too_many_are_typed, arming::command_is_accounted_for],
            ARM,
        ),
        Request::Set { .. } => (
            &[
                guard::by_the_lead,
                guard::nothing_runs,
                guard::nothing_is_owed,
                arming::texts_fit,
                arming::value_is_allowed,
                arming::value_is_accounted_for,
            ],
            &[],
        ),
        Request::Edit { .. } => (
            &[
                guard::by_the_lead,
                guard::nothing_runs,
                guard::nothing_is_owed,
                guard::step_is_known,
                arming::step_may_be_edited,
                arming::step_runs_a_command,
                arming::texts_fit,
                arming::command_is_accounted_for,
            ],
            &[],
        ),
        Request::Disarm { .. } => (&[guard::by_the_lead, guard::attempt_is_open], &[]),
        Request::OpenCheck { .. } => (&[guard::by_a_shadow, guard::attempt_is_open], &[]),
        Request::ReadBack { .. } => (
            &[
                guard::attempt_is_open,
                readback::something_is_read_back,
                checks::is_not_their_own,
                checks::may_check,
                checks::has_not_checked,
                checks::panel_was_opened,
                readback::is_not_out,
                readback::field_is_theirs,
                readback::value_fits,
                readback::value_is_right,
            ],
            &[],
        ),
        Request::Check { .. } => (
            &[
                guard::attempt_is_open,
                guard::digest_is_armed,
                checks::is_not_their_own,
                checks::may_check,
                guard::key_is_vouched_for,
                checks::has_not_checked,
                checks::waits_for_checks,
                checks::key_counts_once,
                checks::panel_was_opened,
                checks::was_read_back,
                guard::line_is_free,
                guard::gates_hold,
                preflight::poll_is_go,
                checks::waiver_is_checked_by_another,
            ],
            &[],
        ),
        Request::Object { .. } => (&[guard::attempt_is_open, guard::digest_is_armed, guard::by_a_shadow], &[]),
        Request::Withdraw { .. } => (&[guard::attempt_is_open, checks::has_checked], &[]),
        Request::Run { .. } | Request::TryRun { .. } => (RUN, MAY_START),
        Request::Did { .. } => (
            &[
                guard::by_the_lead,
                guard::hub_goes_on,
                running::is_done_by_hand,
                guard::attempt_is_open,
                running::is_cleared,
                running::line_lets_run,
            ],
            MAY_START,
        ),
        Request::Waive { .. } => (
            &[
                guard::step_is_known,
                waive::is_not_the_lead,
                waive::second_is_a_shadow,
                waive::second_is_vouched_for,
                waive::second_has_a_key_of_their_own,
                waive::is_not_armed,
                waive::attempt_is_next,
                waive::gate_is_known,
                waive::gate_does_not_hold,
                waive::gate_reads_as_seen,
                waive::is_not_waived_by_another,
            ],
            &[],
        ),
        Request::Skip { .. } => (
            &[
                guard::step_is_known,
                waive::second_is_a_shadow,
                waive::second_is_vouched_for,
                waive::second_has_a_key_of_their_own,
                skip::is_not_done,
            ],
            &[],
        ),
        Request::BreakGlass { .. } => (
            &[
                guard::by_the_lead,
                guard::attempt_is_open,
                guard::gates_hold,
                glass::plan_lets_them,
                checks::waits_for_checks,
                guard::digest_is_armed,
                glass::id_was_typed,
                glass::andon_is_not_pulled,
                glass::nobody_else_is_there,
            ],
            &[],
        ),
        Request::Probe { .. } => {
            (&[guard::step_is_known, probe::is_planned, probe::something_is_to_be_judged, probe::is_not_running], &[])
        }
        Request::Type { .. } => (
            &[
                guard::by_the_lead,
                guard::step_is_known,
                typing::takes_input,
                guard::attempt_is_the_latest,
                typing::is_running,
                typing::is_hidden_where_it_must_be,
                typing::is_a_line_of_text,
            ],
            &[],
        ),
        Request::Interrupt { .. } => (&[guard::step_is_known, running::something_goes_on], &[]),
        Request::Rollback { .. } => (
            &[
                guard::by_the_lead,
                guard::hub_goes_on,
                guard::step_is_known,
                rollback::is_planned,
                guard::attempt_is_the_latest,
                rollback::may_be_undone,
                settling::process_is_gone,
            ],
            &[],
        ),
        Request::Ack { .. } => (&[guard::step_is_known, settling::outcome_is_plain], SETTLE),
        Request::Settle { outcome: Settled::Done, .. } => (SETTLE_DONE, &[]),
        Request::Settle { outcome: Settled::Failed, .. } => (SETTLE, &[]),
        Request::Release => (&[line::is_pulled, line::is_theirs_to_release], &[]),
        Request::Poll => (&[guard::by_the_lead, preflight::poll_is_planned, preflight::poll_is_not_over], &[]),
        Request::Go { .. } => (
            &[preflight::poll_is_not_over, preflight::poll_is_that_one, preflight::board_was_read, preflight::is_asked],
            &[],
        ),
        Request::NoGo { .. } => (&[preflight::poll_is_not_over, preflight::poll_is_that_one], &[]),
        Request::Seat { .. } => (&[preflight::seat_is_theirs], &[]),
        Request::Answer { .. } => (
            &[
                preflight::item_is_known,
                preflight::poll_is_not_over,
                preflight::item_is_theirs,
                preflight::is_an_answer,
            ],
            &[],
        ),
        Request::Available { .. } => (&[preflight::time_is_to_come], &[]),
        Request::Handover { .. } => (
            &[
                people::heir_is_of_the_crew,
                people::heir_does_not_lead,
                people::is_theirs_to_agree,
                people::heir_may_take_it,
                people::those_who_take_it_are_two,
                people::heir_checked_nothing_that_runs,
            ],
            &[],
        ),
        Request::Readmit { .. } => {
            (&[readmit::is_another_of_the_crew, readmit::key_has_knocked, readmit::those_who_say_so_are_two], &[])
        }
        Request::Resize { .. } | Request::Vouch => (&[guard::by_the_lead], &[]),
        Request::Close { .. } => {
            (&[guard::by_the_lead, guard::nothing_runs, guard::nothing_is_owed, settling::rollbacks_are_contained], &[])
        }
        Request::SignClose => (&[settling::end_is_called], &[]),
        Request::Andon { .. } | Request::Say { .. } | Request::Mark { .. } | Request::Attend { .. } => (&[], &[]),
    };
    [ALWAYS, first, then]
}

/// What a request becomes where every guard lets it pass. All that may still be refused is its signature.
fn becomes(ask: &Ask) -> Result<Vec<Event>, Refusal> {
    match ask.request {
        Request::Arm { .. } | Request::AdHoc { .. } => freezing::arm(ask),
        Request::Set { .. } => arming::set(ask),
        Request::Edit { .. } => arming::edit(ask),
        Request::Disarm { .. } => freezing::disarm(ask),
        Request::OpenCheck { .. } => checks::open(ask),
        Request::ReadBack { .. } => readback::read_back(ask),
        Request::Check { .. } => checks::check(ask),
        Request::Object { why, .. } => checks::object(ask, why),
        Request::Withdraw { .. } => checks::withdraw(ask),
        Request::Run { .. } => running::run(ask, ""),
        Request::Did { note, .. } => running::run(ask, note),
        Request::TryRun { .. } => Ok(vec![]),
        Request::Waive { why, .. } => waive::waive(ask, why),
        Request::Skip { why, .. } => skip::skip(ask, why),
        Request::BreakGlass { why, .. } => glass::break_it(ask, why),
        Request::Probe { .. } => probe::probe(ask),
        Request::Type { .. } => typing::written(ask),
        Request::Interrupt { force, .. } => running::interrupt(ask, *force),
        Request::Rollback { .. } => rollback::roll_back(ask),
        Request::Settle { outcome: Settled::Done, why, .. } => settling::done(ask, why),
        Request::Ack { why, .. } | Request::Settle { outcome: Settled::Failed, why, .. } => {
            settling::not_done(ask, why)
        }
        Request::Andon { why } => line::pull(ask, why),
        Request::Release => line::release(ask),
        Request::Poll => preflight::call(ask),
        Request::Go { .. } => preflight::answer_poll(ask, None),
        Request::NoGo { why, .. } => preflight::answer_poll(ask, Some(why)),
        Request::Seat { seat } => preflight::seat(ask, seat),
        Request::Answer { .. } => preflight::answer(ask),
        Request::Available { fit, until, why } => preflight::available(ask, *fit, *until, why),
        Request::Handover { to } => people::hand_over(ask, to),
        Request::Readmit { .. } => readmit::readmit(ask),
        Request::Say { text } => Ok(vec![Event::Noted { text: text.clone() }]),
        Request::Mark { text } => Ok(vec![Event::Marked { text: text.clone() }]),
        Request::Attend { attention } => people::attend(ask, attention),
        Request::Resize { cols, rows } => people::resize(ask, (*cols, *rows)),
        Request::Close { note } => settling::close(ask, note),
        Request::SignClose => settling::sign(ask),
        Request::Vouch => people::vouch(ask),
    }
}

/// What a request becomes at that time.
///
/// `Request::Arm` without `covers` asks whether the step may be armed at all: yes is an empty list, upon which the hub
/// freezes the step and asks again with `covers`.
///
/// # Errors
/// The first refusal of its guards; then what is wrong with its signature.
pub fn decide(session: &Session, at: At, author: &Author, request: &Request) -> Result<Vec<Event>, Refusal> {
    let ask = Ask::new(session, at, author, request, arming::typed_by(session, author, request));
    let mut no = Reasons(vec![]);
    for guard in guards(request).into_iter().flatten() {
        guard(&ask, &mut no);
        if let Some(refusal) = no.0.drain(..).next() {
            return Err(refusal);
        }
    }
    becomes(&ask)
}

/// Every reason why that request would be refused at that time, most in the way first; empty where it would be granted. The
/// first is what [`decide`] answers. Only the signature, which is made when somebody asks, is not looked at.
pub fn may(session: &Session, at: At, author: &Author, request: &Request) -> Vec<Refusal> {
    let ask = Ask::new(session, at, author, request, arming::typed_by(session, author, request));
    let mut no = Reasons(vec![]);
    // The twin of the test that holds both against each other: a screen that does not know of the gates.
    let deaf = |guard: &&Guard| !(twin::broken(15) && std::ptr::fn_addr_eq(**guard, guard::gates_hold as Guard));
    for guard in guards(request).into_iter().flatten().filter(deaf) {
        guard(&ask, &mut no);
    }
    no.0
}

/// What a refused request leaves in the transcript, and by whom. Most leave that they were refused; a wrong read-back is a
/// fact of its own, which counts however many there were of late.
pub(crate) fn on_record(
    session: &Session,
    at: At,
    who: &Principal,
    request: &Request,
    refusal: &Refusal,
) -> Option<(Principal, Event)> {
    let wrong = readback::wrong(request, refusal).map(|event| (who.clone(), event));
    wrong.or_else(|| {
        let event = refused(session, at, who, request.describe(), refusal.to_string());
        event.map(|event| (Principal::hub(), event))
    })
}

/// The event that keeps a refusal in the transcript; none where this principal has had too many of late.
pub(crate) fn refused(session: &Session, at: At, who: &Principal, request: String, reason: String) -> Option<Event> {
    let (since, count) = session.refusals.get(who).copied().unwrap_or((at, 0));
    let room = count < REFUSALS_PER_WINDOW || at.since(since) >= REFUSAL_WINDOW;
    (session.closed.is_none() && room).then(|| Event::Refused { principal: who.clone(), request, reason })
}

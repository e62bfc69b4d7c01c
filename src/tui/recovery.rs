//! The recovery clock: by which way people could still get back, and for how long. A row of its own where there is room, a
//! few words in the first row everywhere else.

use super::canvas::{Look, row};
use super::theme::Ink;
use crate::clock::{At, human};
use crate::name::shown;
use crate::plan::{Class, Step};
use crate::session::{Session, Stands, WayBack, price};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use std::time::Duration;

/// The clock in a few words; none where the plan names no way back, or the session is over.
pub fn short(session: &Session, at: At) -> Option<(String, Ink)> {
    if !is_shown(session) {
        return None;
    }
    let Some(way) = session.ways_back(at).next() else {
        return Some(match is_due(session) {
            true => ("NO WAY BACK".into(), Ink::Fail),
            false => ("no way back yet".into(), Ink::Dim),
        });
    };
    let text = match way.stands {
        Stands::For(left) => {
            let most = if way.sure { "" } else { "at most " };
            let slow = if way.is_too_slow() { " TOO SLOW" } else { "" };
            format!("back {most}{}{slow}", countdown(left))
        }
        Stands::WhileOk => format!("back while {} {}", way.recovery.watch, if way.sure { "ok" } else { "WARN" }),
    };
    Some((text, ink(&way)))
}

/// Whether there is a clock to show.
pub fn is_shown(session: &Session) -> bool {
    !session.plan.recovery.is_empty() && session.closed.is_none()
}

/// Whether one is missed: the next step is one that people check, or such a step was begun. Before that a backup that the
/// release itself makes is not there yet, and nothing is wrong.
pub fn is_due(session: &Session) -> bool {
    let next = session.current_step().is_some_and(|(step, _)| step.class > Class::Routine);
    let begun = |step: &&Step| session.steps.get(&step.id).is_some_and(|state| state.run.is_some());
    next || session.plan.steps.iter().filter(begun).any(|step| step.class > Class::Routine)
}

/// Draws the clock over a row of its own.
pub fn draw(look: &Look<'_>, buf: &mut Buffer, area: Rect) {
    let (session, at) = (look.session(), look.at());
    let mut ways = session.ways_back(at);
    let Some(best) = ways.next() else {
        if !is_due(session) {
            let text = format!("none yet, and no step needs one yet: {}", fallen(session, at));
            return row(buf, area, 0, vec![look.span(" WAY BACK  ", Ink::Title), look.span(text, Ink::Dim)], vec![]);
        }
        buf.set_style(area, look.ink(Ink::Andon));
        let text = format!("{} ", fallen(session, at));
        return row(buf, area, 0, vec![look.span(" NO WAY BACK ", Ink::Andon), look.span(text, Ink::Andon)], vec![]);
    };
    let mut left = vec![look.span(" WAY BACK  ", Ink::Title)];
    left.extend(rung(look, &best));
    let then = ways.next().map(|way| {
        let text = format!("then {}, takes {} ", shown(&way.recovery.name), human(way.recovery.takes));
        vec![look.span(text, Ink::Dim)]
    });
    let size = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
    let fits = |then: &Vec<Span<'_>>| size(&left) + size(then) + 2 <= usize::from(area.width);
    let right = then.filter(fits).unwrap_or_default();
    row(buf, area, 0, left, right);
}

/// One rung: its name, how long it stands, what it takes.
pub fn rung(look: &Look<'_>, way: &WayBack<'_>) -> Vec<Span<'static>> {
    let stands = match (way.stands, way.sure) {
        (Stands::For(left), true) => format!("{} left", countdown(left)),
        (Stands::For(left), false) => format!("at most {} left", countdown(left)),
        (Stands::WhileOk, _) => way.standing(),
    };
    let mut spans = vec![
        look.span(format!("{}  ", shown(&way.recovery.name)), Ink::Strong),
        look.span(stands, ink(way)),
        look.span(format!(" · {}", price(way.recovery)), Ink::Text),
    ];
    if way.is_too_slow() {
        spans.push(look.span(" · TAKES LONGER THAN IT STANDS", Ink::Fail));
    }
    spans
}

/// Why no way back stands, each in a clause.
pub fn fallen(session: &Session, at: At) -> String {
    let why = session.plan.recovery.iter().map(|recovery| {
        let watch = &recovery.watch;
        let (word, why) = (session.status(watch, at).word(), shown(&session.why(watch, at)));
        format!("{}: {watch} is {word}: {why}", shown(&recovery.name))
    });
    why.collect::<Vec<_>>().join(" · ")
}

fn ink(way: &WayBack<'_>) -> Ink {
    match (way.is_too_slow(), way.sure) {
        (true, _) => Ink::Fail,
        (false, false) => Ink::Warn,
        (false, true) => Ink::Pass,
    }
}

/// Time that is left, to the second, so that everyone sees it run: `01:18:53`, `6d 04:00:12`.
fn countdown(left: Duration) -> String {
    let s = left.as_secs();
    let clock = format!("{:02}:{:02}:{:02}", s / 3600 % 24, s / 60 % 60, s % 60);
    if s >= 86_400 { format!("{}d {clock}", s / 86_400) } else { clock }
}

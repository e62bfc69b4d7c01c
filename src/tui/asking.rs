//! What an act asks of the hub: at once, or once its words are typed; and why it asks nothing now.

use super::app::{App, Field, Now, Overlay, Purpose};
use super::happened::Action;
use super::keymap;
use super::typing;
use crate::brief::acts::{Act, Place};
use crate::brief::{Picked, Why};
use crate::client::view::View;
use crate::session::Request;

/// Stops the line: no question is asked.
pub(super) fn andon(app: &mut App, view: &View, now: Now, actions: &mut Vec<Action>) {
    match view.sight(view.now(now.wall)).may_act(Act::Andon, &Picked::default()).first() {
        None => {
            actions.push(Action::Ask(Request::Andon { why: String::new() }));
            let how = app.keys.first(Act::Say, Place::Main);
            app.toast(format!("andon pulled; say why in the chat ({how})"), false, now.mono);
        }
        Some(why) => app.toast(format!("no andon: {}", why.short), true, now.mono),
    }
}

/// What an act asks of the hub: at once, or once its words are typed.
pub(super) fn ask(app: &mut App, act: Act, view: &View, now: Now, actions: &mut Vec<Action>) {
    let sight = view.sight(view.now(now.wall));
    let picked = keymap::picked(app, view);
    let reasons = sight.may_act(act, &picked);
    if !reasons.is_empty() {
        // Where the hub can be asked, it says no itself: then it stands in the transcript that somebody tried.
        if let Some(request) = sight.try_all_the_same(act, &picked) {
            return actions.push(Action::Ask(request));
        }
        return app.toast(refused(act, &reasons), true, now.mono);
    }
    // What has no value yet is asked for first.
    if act == Act::Arm
        && let Some((step, _)) = sight.target(&picked)
        && let Some(name) = view.session.params_missing(step).first()
    {
        app.overlay = Overlay::Field(Field::with(Purpose::Set, &format!("{name}=")));
        return;
    }
    let Ok(request) = sight.wish(act, &picked) else { return }; // nothing is in its way, so there is one
    match Purpose::of(&request, &sight) {
        Some(purpose) => typing::begin(app, Field::new(purpose)),
        None => {
            if act == Act::Arm {
                app.selected = None;
            }
            actions.push(Action::Ask(request));
        }
    }
}

/// Why a key does nothing now.
pub(super) fn refused(act: Act, reasons: &[Why]) -> String {
    let short: Vec<_> = reasons.iter().map(|why| why.short.as_str()).collect();
    format!("{}: {}", act.row().map_or("that", |row| row.short), short.join(" · "))
}

//! Whether a theme can be read: contrast of every role, and, where it says so, whether states stay apart for
//! colour-blind eyes.

use super::{Ink, Theme};
use ratatui::style::Color;

/// The least CIE76 distance between two states that a theme with `cvd_safe` may have, in the worst of the simulations.
pub const CVD_DISTANCE: f64 = 15.0;

/// The states that have to be told apart.
const STATES: [Ink; 5] = [Ink::Pass, Ink::Warn, Ink::Hold, Ink::Fail, Ink::Stale];

/// What a theme measures.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The worst contrast of a role, and whose.
    pub contrast: (f64, Ink),
    /// The smallest distance between two states over simulated protan, deutan and tritan sight, and whose.
    pub distance: (f64, Ink, Ink),
}

/// Measures a theme; none where it has no colours of its own (`ansi`, `mono`).
pub fn measure(theme: &Theme) -> Option<Measured> {
    let base = rgb(theme.style(Ink::Base).bg)?;
    let mut contrast = (f64::INFINITY, Ink::Base);
    for ink in Ink::ALL {
        let style = theme.style(*ink);
        let (Some(fg), bg) = (rgb(style.fg), rgb(style.bg).unwrap_or(base)) else { continue };
        let now = contrast_of(fg, bg);
        if now < contrast.0 {
            contrast = (now, *ink);
        }
    }
    let mut distance = (f64::INFINITY, Ink::Pass, Ink::Pass);
    for (index, a) in STATES.iter().enumerate() {
        for b in &STATES[index + 1..] {
            let (Some(x), Some(y)) = (rgb(theme.style(*a).fg), rgb(theme.style(*b).fg)) else { continue };
            for sight in SIGHTS {
                let apart = apart(lab(seen(x, &sight)), lab(seen(y, &sight)));
                if apart < distance.0 {
                    distance = (apart, *a, *b);
                }
            }
        }
    }
    Some(Measured { contrast, distance })
}

/// Everything that keeps a theme from being good enough, in sentences; empty where nothing does.
pub fn check(theme: &Theme) -> Vec<String> {
    let Some(measured) = measure(theme) else { return vec![] };
    let mut wrong = vec![];
    let (contrast, ink) = measured.contrast;
    let wanted = theme.contrast.max(4.5);
    if contrast < wanted {
        wrong.push(format!("{} has a contrast of {contrast:.1}, {wanted:.1} are needed", ink.name()));
    }
    let (distance, a, b) = measured.distance;
    if theme.cvd_safe && distance < CVD_DISTANCE {
        wrong.push(format!(
            "{} and {} are {distance:.1} apart for some colour-blind eyes, {CVD_DISTANCE:.0} are needed",
            a.name(),
            b.name()
        ));
    }
    wrong
}

fn rgb(colour: Option<Color>) -> Option<[f64; 3]> {
    match colour? {
        Color::Rgb(r, g, b) => Some([r, g, b].map(|part| linear(f64::from(part) / 255.0))),
        _ => None,
    }
}

fn linear(part: f64) -> f64 {
    if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
}

/// WCAG 2.
fn contrast_of(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |c: [f64; 3]| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Machado, Oliveira and Fernandes (2009), full severity, on linear light: protan, deutan, tritan.
const SIGHTS: [[[f64; 3]; 3]; 3] = [
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
];

fn seen(colour: [f64; 3], sight: &[[f64; 3]; 3]) -> [f64; 3] {
    sight.map(|row| (row[0] * colour[0] + row[1] * colour[1] + row[2] * colour[2]).clamp(0.0, 1.0))
}

/// CIE L*a*b* under D65.
fn lab(c: [f64; 3]) -> [f64; 3] {
    let x = (0.4124 * c[0] + 0.3576 * c[1] + 0.1805 * c[2]) / 0.95047;
    let y = 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
    let z = (0.0193 * c[0] + 0.1192 * c[1] + 0.9505 * c[2]) / 1.08883;
    let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    [116.0 * f(y) - 16.0, 500.0 * (f(x) - f(y)), 200.0 * (f(y) - f(z))]
}

fn apart(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::BUILT_IN;

    #[test]
    fn themes_built_in_are_good_enough() {
        for (name, text) in BUILT_IN {
            let theme = Theme::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
            println!("{name}: {:?}", measure(&theme));
            assert_eq!(check(&theme), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn a_theme_that_cannot_be_read_is_found_out() {
        let text = "name = \"x\"\ninherits = \"dusk\"\ncvd_safe = true\n[roles]\ndim = { fg = \"#222222\" }\n";
        let wrong = check(&Theme::parse("x", text).unwrap_or_else(|error| panic!("{error}")));
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }
}

pub const SAMPLES: &[&str] = &[];
pub fn sample(_n: &str, _t: &str) -> Option<String> {
    None
}

//! What the targets share: memory that is counted, and what must hold of any text that reaches a screen.

#![allow(missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counting what is held and the most that was held.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    let held = HELD.fetch_add(by, Relaxed).wrapping_add(by);
    PEAK.fetch_max(held, Relaxed);
}

// SAFETY: every call goes on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match size >= layout.size() {
            true => grown(size - layout.size()),
            false => _ = HELD.fetch_sub(layout.size() - size, Relaxed),
        }
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Does something with an input of that many bytes, and panics where it ever held more memory than `times` the input and
/// `beside` bytes.
pub fn within<T>(input: usize, times: usize, beside: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let done = work();
    let most = PEAK.load(Relaxed).saturating_sub(before);
    assert!(most <= input * times + beside, "{most} bytes of memory for an input of {input} bytes");
    done
}

/// Panics where a text that is one line on a screen holds something that acts on a terminal or cannot be seen.
pub fn assert_shown(text: &str) {
    if let Some(c) = text.chars().find(|c| crosscheck::name::is_hidden(*c)) {
        panic!("{c:?} in what is shown: {text:?}");
    }
}

/// The same of a text of several lines.
pub fn assert_shown_lines(text: &str) {
    text.split('\n').for_each(assert_shown);
}

//! How much memory reading may take, and how much it takes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes that reading an input may take for a moment, and as many times its size: a list of numbers in TOML takes most.
const MOST: usize = 96 << 20;
const TIMES: usize = 64;
/// Of a picture, which may have as many pixels as a camera's, in grey and in colour.
const MOST_OF_PICTURE: usize = 1 << 30;

/// The system's allocator, with the bytes that live and the most that ever lived.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises; every block is from `alloc` above, and so the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads it without a panic and within the bound, or panics itself. The counts are the whole program's: nothing else may
/// run meanwhile.
pub fn survives(what: &str, input: &[u8], read: &dyn Fn(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let most = TIMES * input.len() + if what == "picture" { MOST_OF_PICTURE } else { MOST };
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = catch_unwind(AssertUnwindSafe(|| read(input)));
    let taken = PEAK.load(Relaxed).saturating_sub(before);
    let shown = || input[..input.len().min(3000)].escape_ascii();
    assert!(taken <= most, "{what}: took {taken} bytes to read\n{}", shown());
    match result {
        Ok(result) => result,
        Err(_) => panic!("{what}: panicked on\n{}", shown()),
    }
}

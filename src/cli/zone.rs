//! The local time zone, as people at this terminal have it.

/// Seconds east of UTC now; `None` where that is not known, and times are shown as UTC.
#[cfg(unix)]
pub(super) fn offset_s() -> Option<i32> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let now = libc::time_t::try_from(now).ok()?;
    // SAFETY: all bytes zero is a valid `tm`; localtime_r writes it and reads `now`, both live here.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&raw const now, &raw mut tm).is_null() {
            return None;
        }
        tm
    };
    i32::try_from(tm.tm_gmtoff).ok()
}

/// Not known here.
#[cfg(not(unix))]
pub(super) fn offset_s() -> Option<i32> {
    None
}

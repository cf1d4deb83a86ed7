//! Days and times for people, in UTC, without a table of time zones.

const DAY_MS: u64 = 86_400_000;

/// A day as `2026-11-22`, of milliseconds since the Unix epoch.
pub fn day(unix_ms: u64) -> String {
    let (year, month, day) = civil(unix_ms / DAY_MS);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A minute as `2026-11-22 19:58 UTC`, of milliseconds since the Unix epoch.
pub fn minute(unix_ms: u64) -> String {
    let minutes = unix_ms % DAY_MS / 60_000;
    format!(
        "{} {:02}:{:02} UTC",
        day(unix_ms),
        minutes / 60,
        minutes % 60
    )
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar: years are counted from March, so
/// that a leap day is the last of its year (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_709_164_800_000, "2024-02-29"),
            (1_735_689_599_999, "2024-12-31"),
            (1_795_377_480_000, "2026-11-22"),
            (4_107_542_400_000, "2100-03-01"),
        ];
        for (ms, text) in cases {
            assert_eq!(day(ms), text);
        }
        assert_eq!(minute(1_795_377_480_000), "2026-11-22 19:58 UTC");
    }
}

// See `dates.h`. The calendar is the proleptic Gregorian one, as in Python; the arithmetic is that of Howard Hinnant's
// "chrono-compatible low-level date algorithms", with years that begin in March.

#include "dates.h"

FROM(PYTHON, "new_date_ex") object *new_date_ex(int year, int month, int day, object *type);
FROM(PYTHON, "new_time_ex2")
object *new_time_ex2(int hour, int minute, int second, int microsecond, object *zone, int fold, object *type);
FROM(PYTHON, "new_datetime_ex2")
object *new_datetime_ex2(int year, int month, int day, int hour, int minute, int second, int microsecond, object *zone,
                         int fold, object *type);

// Days from 1 March of year 0 to 1 January 1970, and in 400 years.
enum { TO_1970 = 719468, ERA = 146097 };

struct day {
    int year, month, day;
};

static struct day day_of(int64_t days) {
    // Python's dates are in years 1 to 9999: nothing here is negative.
    unsigned since = (unsigned)(days + TO_1970);
    unsigned era = since / ERA, of_era = since % ERA;
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    unsigned civil = month < 10 ? month + 3 : month - 9;
    return (struct day){(int)(year + era * 400 + (civil <= 2)), (int)civil, (int)(of_year - (153 * month + 2) / 5 + 1)};
}

static int64_t days_of(unsigned year, unsigned month, unsigned day) {
    year -= month <= 2;
    unsigned era = year / 400, of_era = year % 400;
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return (int64_t)era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - TO_1970;
}

object *make_date(const struct dates *dates, int64_t days) {
    struct day day = day_of(days);
    return new_date_ex(day.year, day.month, day.day, dates->date);
}

object *make_time(const struct dates *dates, int64_t microseconds) {
    unsigned seconds = microseconds / 1000000;
    return new_time_ex2(seconds / 3600, seconds / 60 % 60, seconds % 60, microseconds % 1000000, known.none, 0,
                        dates->time);
}

object *make_datetime(const struct dates *dates, int64_t microseconds, bool aware) {
    int64_t days = microseconds / MICROSECONDS_OF_DAY, rest = microseconds % MICROSECONDS_OF_DAY;
    if (rest < 0) {
        days--;
        rest += MICROSECONDS_OF_DAY;
    }
    struct day day = day_of(days);
    unsigned seconds = rest / 1000000;
    return new_datetime_ex2(day.year, day.month, day.day, seconds / 3600, seconds / 60 % 60, seconds % 60,
                            rest % 1000000, aware ? dates->utc : known.none, 0, dates->datetime);
}

static int64_t date_at(const uint8_t *packed) {
    return days_of(packed[0] << 8 | packed[1], packed[2], packed[3]);
}

static int64_t time_at(const uint8_t *packed) {
    int64_t seconds = packed[0] * 3600 + packed[1] * 60 + packed[2];
    return seconds * 1000000 + (packed[3] << 16 | packed[4] << 8 | packed[5]);
}

int64_t read_date(object *value) {
    return date_at(((struct moment *)value)->packed);
}

int64_t read_time(object *value) {
    return time_at(((struct moment *)value)->packed);
}

int64_t read_datetime(object *value) {
    const uint8_t *packed = ((struct moment *)value)->packed;
    return date_at(packed) * MICROSECONDS_OF_DAY + time_at(packed + 4);
}

static bool holds(object *made, object *type, int64_t read, int64_t wanted, bool aware) {
    bool holds = made->type == type && read == wanted && ((struct moment *)made)->aware == aware;
    drop(made);
    return holds;
}

bool dates_hold(const struct dates *dates) {
    // The ends of Python's range, the days around a leap year's end of February, the one before 1970.
    static const int32_t days[] = {-719162, -719161, -1, 0, 11015, 11016, 11017, 19782, 19783, 2932896};
    static const int64_t times[] = {0, 1, INT64_C(86399999999), INT64_C(45296123456)};
    for (unsigned at = 0; at < sizeof days / sizeof *days; at++) {
        object *date = make_date(dates, days[at]);
        if (!date || !holds(date, dates->date, read_date(date), days[at], false)) return false;
        int64_t microseconds = days[at] * MICROSECONDS_OF_DAY + times[at % 4];
        object *naive = make_datetime(dates, microseconds, false);
        if (!naive || !holds(naive, dates->datetime, read_datetime(naive), microseconds, false)) return false;
        object *aware = make_datetime(dates, microseconds, true);
        if (!aware || ((struct moment *)aware)->zone != dates->utc) return false;
        if (!holds(aware, dates->datetime, read_datetime(aware), microseconds, true)) return false;
        object *time = make_time(dates, times[at % 4]);
        if (!time || !holds(time, dates->time, read_time(time), times[at % 4], false)) return false;
    }
    // What the numbers above mean.
    struct day day = day_of(19782);
    return day.year == 2024 && day.month == 2 && day.day == 29;
}

// For the tests: as `layouts_hold`.
EXPORT uint32_t dates_layouts_hold(object *date, object *time, object *datetime, object *utc) {
    struct dates dates = {date, time, datetime, utc};
    int state = PyGILState_Ensure();
    bool hold = learn() && dates_hold(&dates);
    PyGILState_Release(state);
    return hold;
}

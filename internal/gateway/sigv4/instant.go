package sigv4

import "time"

// appendInstant is AppendFormat in UTC with timeFormat, without parsing that layout,
// because a request's time is written several times.
func appendInstant(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, timeFormat)
	}
	hour, minute, second := t.Clock()
	b = appendTwo(appendTwo(b, year/100), year%100)
	b = append(appendTwo(appendTwo(b, int(month)), day), 'T')
	return append(appendTwo(appendTwo(appendTwo(b, hour), minute), second), 'Z')
}

func appendTwo(b []byte, n int) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10)) }

// parseInstant is time.Parse with timeFormat. It parses the usual form itself and leaves
// everything else to time.Parse.
func parseInstant(s string) (time.Time, error) {
	if len(s) != len(timeFormat) {
		return time.Parse(timeFormat, s)
	}
	two := func(at int) int { return int(s[at]-'0')*10 + int(s[at+1]-'0') }
	t := time.Date(two(0)*100+two(2), time.Month(two(4)), two(6), two(9), two(11), two(13), 0, time.UTC)
	var same [len(timeFormat)]byte
	if string(appendInstant(same[:0], t)) != s { // characters other than digits, or a day that does not exist
		return time.Parse(timeFormat, s)
	}
	return t, nil
}

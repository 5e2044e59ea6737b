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
	usual := s[8] == 'T' && s[15] == 'Z'
	two := func(at int) int {
		tens, ones := s[at]-'0', s[at+1]-'0'
		usual = usual && tens <= 9 && ones <= 9
		return int(tens)*10 + int(ones)
	}
	year, month, day := two(0)*100+two(2), time.Month(two(4)), two(6)
	hour, minute, second := two(9), two(11), two(13)
	t := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	if y, m, d := t.Date(); !usual || hour > 23 || minute > 59 || second > 59 || y != year || m != month || d != day {
		return time.Parse(timeFormat, s) // other characters than digits, or a time that does not exist
	}
	return t, nil
}

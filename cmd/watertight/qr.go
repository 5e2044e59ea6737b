package main

import (
	"fmt"
	"io"
	"strings"

	"rsc.io/qr"
)

// quiet is the light margin that readers of QR codes need, in modules (ISO/IEC 18004).
const quiet = 4

// printQR draws a QR code for a terminal: two modules in each character. It sets both
// colours itself, so that dark is dark on every background.
func printQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return err
	}
	const black, reset = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var line strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			line.WriteRune(halves(code.Black(x, y), y+1 < code.Size+quiet && code.Black(x, y+1)))
		}
		if _, err := fmt.Fprintln(w, black+line.String()+reset); err != nil {
			return err
		}
	}
	return nil
}

// halves is the character whose upper and lower halves are dark or light.
func halves(upper, lower bool) rune {
	switch {
	case upper && lower:
		return '█'
	case upper:
		return '▀'
	case lower:
		return '▄'
	}
	return ' '
}

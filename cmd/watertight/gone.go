package main

import (
	"errors"
	"fmt"

	"watertight/internal/operator"
)

// whenGone adds advice to operator.ErrGone. It returns other errors unchanged.
func whenGone(err error, advice string) error {
	if errors.Is(err, operator.ErrGone) {
		return fmt.Errorf("%w. %s", err, advice)
	}
	return err
}

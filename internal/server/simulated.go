package server

import (
	"context"
	"net/http"
)

// Simulate serves a server on Config.Files without listeners, for tests: requests of the
// API and the operator's commands go to the handlers. end stops what runs beside them and
// closes everything; no request may be in progress.
func (s *Server) Simulate(ctx context.Context) (requests, commands http.Handler, end func() error) {
	background, stop := context.WithCancel(ctx)
	work := s.work(background)
	return s.newHTTP(ctx, background).Handler, s.commands(ctx, background).Handler, func() error {
		stop()
		work.Wait()
		s.origins.running.Wait()
		return s.Close(context.WithoutCancel(ctx))
	}
}

package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/cloudfront"
	"watertight/internal/api/iam"
	kmsapi "watertight/internal/api/kms"
	"watertight/internal/api/s3"
	"watertight/internal/certs"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/cdn"
	"watertight/internal/core/identity"
	"watertight/internal/core/instant"
	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/core/mfa"
	"watertight/internal/core/object"
	"watertight/internal/core/payload"
	"watertight/internal/core/session"
	"watertight/internal/core/simulate"
	"watertight/internal/datadir"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
	"watertight/internal/limit"
	"watertight/internal/operator"
	"watertight/internal/outbound"
	"watertight/internal/rotation"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
	"watertight/internal/storage/space"
)

// Server is a built server, its listeners bound. Run serves; Close, which Run
// calls, ends everything.
type Server struct {
	config     Config
	log        *slog.Logger
	lock       folder.File
	disk       *space.Disk
	trail      *audit.Log
	store      kv.Store
	ring       *keys.Ring
	payloads   *payload.Store
	buckets    *bucket.Store
	objects    *object.Store
	identities *identity.Store
	keys       *kms.Store
	devices    *mfa.Store
	sessions   *session.Store
	simulator  *simulate.Simulator
	uses       *identity.Uses
	clock      *instant.Clock
	dispatcher *dispatch.Dispatcher
	who        *authn.Identifier
	memory     *limit.Memory  // of all requests
	origins    *bucketOrigins // this process's edge reaches buckets by it
	door       *door
	lot        *lot
	listeners  []net.Listener
	operator   net.Listener // listener of the operator's socket
	probes     net.Listener // listener for probes; nil if there is none
	scrapes    net.Listener // listener for metrics; nil if there is none
	profiles   net.Listener // listener for profiles; nil if there is none
	auditSyncs atomic.Uint64
	metrics    *metrics
	counter    *alarm.Counter
	leaving    atomic.Bool // Run was told to stop
	first      FirstStart
	rootKey    *rootkey.Keyring
	newData    bool // this start creates the store
	parts      *datadir.Parts
	anchor     *datadir.Anchor
	rotation   *rotation.Rotation
	sourceLost atomic.Bool         // the source of the root key is lost
	ringLost   atomic.Bool         // the root key's keyring can't be written
	certFiles  sync.Mutex          // held while the sealed files of TLS are replaced
	certs      *certs.Certificates // nil for plain HTTP
	edge       *cdnEdge            // nil if there is no CDN

	distributions *cdn.Store
}

// FirstStart is what the first start creates, to be shown once. SecretAccessKey is
// set only during Config.Show, and never if it was Supplied.
type FirstStart struct {
	Created, Supplied                       bool
	AccountID, AccessKeyID, SecretAccessKey string
	RootKey                                 string // name of the source of the root key
	RootKeyCreated                          bool
}

// Build opens the store and binds the listeners. After an error nothing is
// left open.
func Build(ctx context.Context, c Config) (_ *Server, err error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	if c.MaxDocumentMemory == 0 {
		c.MaxDocumentMemory = DefaultMaxDocumentMemory
	}
	if c.Stall == 0 {
		c.Stall = defaultStall
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Getenv == nil {
		c.Getenv = func(string) string { return "" }
	}
	if err := errors.Join(
		c.checkLimits(), c.checkListeners(), c.checkMetrics(), c.checkProfiles(), c.checkAlarm(), c.CDN.check(),
		c.CDN.Cache.check(),
	); err != nil {
		return nil, err
	}
	if n, err := places(c.MaxConnections*c.doors(), openFiles()); err != nil {
		return nil, err
	} else if n /= c.doors(); n < c.MaxConnections {
		c.Logger.Warn("the limit of open files (ulimit -n) allows fewer connections than --max-connections",
			"connections", n)
		c.MaxConnections = n
	}
	s := &Server{config: c, log: c.Logger}
	steps := []func(context.Context) error{s.openData, s.openClock, s.openCore, s.openGateway}
	if c.Files == nil {
		steps = append(steps, s.openCDN, s.listen, s.listenCDN, s.listenHealth, s.listenMetrics, s.listenProfiles,
			s.listenOperator)
	}
	defer func() {
		if err != nil {
			if cerr := s.Close(context.WithoutCancel(ctx)); cerr != nil {
				s.log.Warn("closing after a start that failed", "err", cerr)
			}
		}
	}()
	for _, step := range append(steps, s.bootstrap) {
		if err := step(ctx); err != nil {
			return nil, datadir.Damaged(s.log, err)
		}
	}
	return s, nil
}

// openData locks the data directory, finds the root key and opens everything that lies there.
func (s *Server) openData(ctx context.Context) error {
	if s.config.Data == "" {
		return errors.New("no data directory; use --data DIR")
	}
	files := folder.Or(s.config.Files)
	if err := errors.Join(folder.Make(files, s.config.Data, 0o700), folder.Take(files, s.config.Data)); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if err := folder.SettledFolder(files, s.config.Data); err != nil {
		return fmt.Errorf("the data directory can be changed by others: %w", err)
	}
	var err error
	if s.lock, err = datadir.Lock(files, s.config.Data); err != nil {
		return err
	}
	if s.parts, err = datadir.Survey(files, s.config.Data); err != nil {
		return err
	}
	s.newData = s.parts.Fresh
	if s.newData {
		if err := s.firstStart().Check(); err != nil {
			return err
		}
	}
	if err := s.openAnchor(ctx); err != nil {
		return err
	}
	s.disk = space.Watch(space.Options{
		Dir: s.config.Data, MinFree: s.config.MinFree, Free: s.config.Free, Logger: s.log,
	})
	if s.newData {
		if err := s.disk.CheckFirst(); err != nil {
			return err
		}
	}
	s.rootKey, err = datadir.OpenKeyring(ctx, s.config.Data, s.config.RootKey, rootkey.Options{
		MayCreate: s.newData, Files: files, Getenv: s.config.Getenv, Now: time.Now,
	})
	if err != nil {
		return err
	}
	s.parts.Keyring = s.rootKey
	s.log.Info("the root key is open", "source", s.rootKey.Where, "generation", s.rootKey.Ring.Current().Number)
	if s.rootKey.Migrates() {
		s.log.Info("the root key becomes generation 1 of a keyring, in which later ones can follow",
			"keyring", filepath.Join(s.config.Data, rootkey.KeyringFile))
	}
	return s.openStore(ctx)
}

// openStore opens the audit log and the store. The log comes first: it knows the newest commit.
func (s *Server) openStore(ctx context.Context) (err error) {
	s.trail, err = audit.Open(audit.Options{
		Dir: datadir.AuditDir(s.config.Data), Files: folder.Counted(folder.Or(s.config.Files), &s.auditSyncs),
		Root:   s.rootKey.Ring,
		Region: s.config.Region, Logger: s.log,
		Limits: audit.Limits{
			MaxBytes: s.config.AuditMaxBytes, Keep: s.config.AuditRetention, Archive: s.config.AuditArchive,
		},
	})
	if err != nil {
		return datadir.Refused(err)
	}
	s.parts.Agree = s.trail.Check
	s.anchor.Bind(s.rootKey, s.trail)
	s.parts.Anchored = s.anchor.Check
	var bad []string
	if !s.newData {
		bad = s.rootKey.Damaged()
	}
	s.store, err = s.parts.Open(ctx, embedded.Options{
		Root: s.rootKey.Ring, AtLeast: s.trail.Anchor(), Room: s.disk.Room, Enough: s.disk.Enough, Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.warnMended(bad)
	s.disk.Arm()
	s.mark()
	if err := s.trail.Attach(s.store); err != nil {
		return err
	}
	return s.anchor.Begin(ctx, s.store, s.anchorEvent)
}

// openCore builds the packages of core.
func (s *Server) openCore(context.Context) error {
	var err error
	rooms := identity.Rooms{Devices: mfa.Counter{}, Sessions: session.Ender{}}
	if s.identities, err = identity.New(s.store, rooms); err != nil {
		return err
	}
	s.keys = kms.New(s.store, kms.Options{
		Region: s.config.Region, Root: s.rootKey.Ring, Principals: identity.Directory{},
		Now: s.config.Now,
	})
	s.ring = keys.New(s.rootKey.Ring, s.keys)
	s.payloads, err = payload.Open(payload.Options{
		Dir: s.config.Data, Files: s.config.Files, Keys: s.ring, Room: s.disk, Records: s.store,
		SegmentUnits: s.config.SegmentUnits,
	})
	if err != nil {
		return err
	}
	s.devices = mfa.New(s.store)
	s.sessions = session.New(s.store, s.identities, s.devices, session.Options{
		Issuers: outbound.New(outbound.Options{Allow: s.config.IssuerNetworks, Hosts: s.config.IssuerHosts}),
		Quota:   s.config.MaxSessions,
	})
	s.simulator = simulate.New(s.store, s.identities)
	s.uses = identity.NewOperator(s.identities).NewUses()
	s.distributions = cdn.New(s.store, cdn.Options{Domains: s.config.Domains, Now: s.config.Now})
	return nil
}

// firstStart describes the first account to create.
func (s *Server) firstStart() identity.BootstrapOptions {
	r := s.config.Root
	return identity.BootstrapOptions{
		AccountID: r.AccountID, AccessKeyID: r.AccessKeyID, SecretAccessKey: r.SecretAccessKey, At: time.Now(),
	}
}

// listenOperator binds the operator's socket. The data directory is locked.
func (s *Server) listenOperator(context.Context) (err error) {
	s.operator, err = operator.Listen(s.config.Data)
	return err
}

// mark brings the markers of the data directory's parts up to date.
func (s *Server) mark() {
	if err := s.parts.Mark(s.store); err != nil {
		s.log.Warn("the store's markers are not up to date", "err", err)
	}
}

// keepMarked keeps the markers up to date. It logs the first failure, not every one.
func (s *Server) keepMarked(ctx context.Context) {
	failing := false
	s.parts.KeepMarked(ctx, s.store, func(err error) {
		if err != nil && !failing {
			s.log.Warn("the store's markers are not up to date", "err", err)
		}
		failing = err != nil
	})
}

// bootstrap creates the first account at the first start, after everything else that could
// refuse the start has succeeded. Later starts ignore the credentials in the configuration,
// and warn if they differ. Only the store decides whether this is the first start; no other
// file matters.
func (s *Server) bootstrap(ctx context.Context) error {
	o := s.firstStart()
	r := s.trail.Begin(protocol.NewRequestID(), o.At)
	r.Event.Operation = action.OperationOf("watertight", "FirstStart")
	r.Event.Identity = audit.Identity{Principal: &policy.Principal{Kind: policy.Service, Name: "operator"}}
	o.Record = r
	shown := false
	o.Show = func(a identity.Account, k identity.Key) error {
		shown = true
		s.first = FirstStart{
			Created: true, AccountID: a.ID, AccessKeyID: k.AccessKeyID, RootKey: s.rootKey.Where,
			RootKeyCreated: s.rootKey.Created,
		}
		if s.first.Supplied = s.config.Root.SecretAccessKey != ""; !s.first.Supplied {
			s.first.SecretAccessKey = k.Secret
		}
		return s.show()
	}
	first, err := identity.NewOperator(s.identities).Bootstrap(ctx, o)
	s.first.SecretAccessKey = "" // it was shown, or the start failed
	switch {
	case err != nil && shown:
		return fmt.Errorf("the account that was shown was not made, and its key opens nothing: %w", err)
	case err != nil:
		return err
	case first.Created:
		r.Finish(audit.Outcome{})
		return nil
	}
	s.first = FirstStart{AccountID: first.Account.ID, RootKey: s.rootKey.Where}
	if err := s.show(); err != nil {
		return err
	}
	return s.warnOfDifferences(ctx, first.Account.ID)
}

// show calls Config.Show, so that the operator sees the result of this start.
func (s *Server) show() error {
	if s.config.Show == nil {
		return nil
	}
	return s.config.Show(s)
}

func (s *Server) warnOfDifferences(ctx context.Context, account string) error {
	r := s.config.Root
	if r.AccountID != "" && r.AccountID != account {
		s.log.Warn("WATERTIGHT_ACCOUNT_ID differs from the account made at the first start; it is ignored", "account",
			account)
	}
	if r.AccessKeyID == "" {
		return nil
	}
	c, err := s.identities.Lookup(ctx, r.AccessKeyID)
	if err != nil {
		return err
	}
	if c == nil || subtle.ConstantTimeCompare([]byte(c.Secret), []byte(r.SecretAccessKey)) != 1 {
		s.log.Warn("WATERTIGHT_ROOT_ACCESS_KEY_ID or WATERTIGHT_ROOT_SECRET_ACCESS_KEY differs from what the first " +
			"start was given; both are ignored")
	}
	return nil
}

// openGateway builds the gateway.
func (s *Server) openGateway(context.Context) error {
	s.buckets = bucket.New(s.store, s.config.Region, identity.Directory{})
	s.buckets.ServeFrom(s.config.peers())
	if s.config.AllowCustomerKeys {
		s.buckets.AllowCustomerKeys()
	}
	s.objects = object.New(s.store, s.payloads, s.buckets, s.keys)
	s.objects.ServeBy(s.clock)
	s.watchChanges()
	s.rotation = s.newRotation()
	api := &s3.API{
		Buckets: s.buckets, Objects: s.objects, Identities: s.identities, Keys: s.keys, Devices: s.devices,
	}
	sts := &iam.STS{Sessions: s.sessions}
	identities := &iam.API{Identities: s.identities, Devices: s.devices, Simulator: s.simulator}
	known := credentials{s.sessions, s.distributions, s.config.Domains}
	s.who = authn.New(known, authn.Options{
		Region: s.config.Region, TrustedProxies: s.config.TrustedProxies, Edges: known, Used: s.noteUse,
	})
	var err error
	s.dispatcher, err = dispatch.New(
		s.who,
		authz.New(facts{s.identities, s.keys, s.buckets, s.objects}),
		s.trail,
		dispatch.Options{
			Protocol: protocol.Options{Domains: s.config.Domains, Region: s.config.Region, Now: s.config.Now},
			Sharing:  api, Logger: s.log,
			Document: s.config.Document, Watch: watch, Observe: s.observer(),
		},
		api.Table(), api.ControlTable(), identities.Table(), sts.Table(), (&kmsapi.API{Keys: s.keys}).Table(),
		(&cloudfront.API{CDN: s.distributions}).Table(),
	)
	s.memory = limit.NewMemory(s.config.MaxDocumentMemory)
	s.origins = &bucketOrigins{dispatcher: s.dispatcher, root: s.rootKey.Ring, memory: s.memory, log: s.log}
	return err
}

// noteUse notes when credentials were used.
func (s *Server) noteUse(u authn.Use) {
	if strings.HasPrefix(u.AccessKeyID, cdn.EdgePrefix) {
		return // its confirmations say more
	}
	if !u.Temporary {
		s.uses.NoteKey(u.AccessKeyID, identity.Use{At: u.At, Service: u.Service, Region: u.Region})
	}
	s.uses.NoteAccess(u.Actor, u.Service, u.At)
}

// First returns what the first start creates; Created is false at every other start.
func (s *Server) First() FirstStart { return s.first }

// Addr returns the address of the first listener.
func (s *Server) Addr() string { return s.listeners[0].Addr().String() }

// Operations lists the rows of a service, for tests and documentation.
func (s *Server) Operations(service string) []dispatch.Row { return s.dispatcher.Operations(service) }

// CreateAccount creates another account with a root user.
func (s *Server) CreateAccount(ctx context.Context, name string) (identity.Account, identity.Key, error) {
	return identity.NewOperator(s.identities).CreateAccount(ctx, nil, name, time.Now())
}

// Stats are counters for benchmarks.
type Stats struct{ Syncs uint64 }

// Stats returns the counters.
func (s *Server) Stats() Stats {
	n := s.payloads.Syncs()
	if m, ok := s.store.(embedded.Metered); ok {
		n += m.Stats().Syncs
	}
	return Stats{Syncs: n}
}

// Region returns the region of all buckets.
func (s *Server) Region() string { return s.config.Region }

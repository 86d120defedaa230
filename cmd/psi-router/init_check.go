package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/doctor"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// checkTime bounds one check.
const checkTime = 15 * time.Second

func (s *setup) checkListen(ctx context.Context, v string) (string, error) {
	if _, _, err := net.SplitHostPort(v); err != nil {
		return "", fmt.Errorf("%s: %w", s.e.say(writeHostPort), err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", v)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.e.say(cannotBeUsed), err)
	}
	l.Close()
	return s.e.say(isFree, v), nil
}

func (s *setup) checkDir(_ context.Context, v string) (string, error) {
	dir, err := filepath.Abs(v)
	if err != nil {
		return "", err
	}
	s.DataDir = dir
	return "", doctor.Writable(dir)
}

func (s *setup) checkPublic(_ context.Context, v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return "", errors.New("https://host[:443], without a path")
	}
	return "", nil
}

func (s *setup) checkDatabase(ctx context.Context, v string) (string, error) {
	a, err := pgstore.Examine(ctx, v)
	if err != nil {
		return "", err
	}
	return s.e.say(postgresAnswers, a.Version), nil
}

func (s *setup) checkRedis(ctx context.Context, v string) (string, error) {
	q, err := redisqueue.Open(ctx, redisqueue.Options{URL: v, Durability: s.Durability})
	if err != nil {
		return "", err
	}
	defer func() { _ = q.Close() }() // nothing was written
	a, err := q.ServerInfo(ctx)
	if err != nil {
		return "", err
	}
	return s.e.say(redisAnswers, a.Version), nil
}

func (s *setup) checkLine(_ context.Context, v string) (string, error) {
	if !lineName.MatchString(v) {
		return "", errors.New(s.e.say(lineLetters))
	}
	return "", nil
}

func (s *setup) checkPhone(_ context.Context, v string) (string, error) {
	if strings.Trim(v, "0123456789") != "" {
		return "", errors.New(s.e.say(onlyDigits))
	}
	return "", nil
}

func (s *setup) checkSecret(_ context.Context, v string) (string, error) {
	if len(v) < 16 {
		return "", errors.New(s.e.say(tooShort))
	}
	return "", nil
}

// checkToken asks WhatsApp about the number. If WhatsApp cannot be reached, the token is accepted.
func (s *setup) checkToken(ctx context.Context, token string) (string, error) {
	graph := s.Graph
	if defaults, err := config.Load(config.Options{}); graph == "" && err == nil {
		graph = defaults.GraphURL
	}
	n, err := doctor.AskNumber(ctx, graph, s.Phone, token, s.AppSecret)
	f, refused := errors.AsType[*outbound.Failure](err)
	switch {
	case err == nil:
		return fmt.Sprintf("WhatsApp: %s (%s)", n.Display, n.Name), nil
	case errors.Is(err, whatsapp.ErrAppSecret):
		return "", fmt.Errorf("%s: %w", s.e.say(otherAppSecret), err)
	case refused && (f.Class == outbound.Throttle || f.Class == outbound.Retry || f.Class == outbound.Uncertain):
		return s.e.say(notAnswering, graph), errNotChecked
	default:
		return "", fmt.Errorf("%s: %w", s.e.say(tokenRefused), err)
	}
}

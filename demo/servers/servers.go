// Package servers is the network of the story, on loopback: an API that wants a key,
// and an attacker who takes what comes.
package servers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	maxBody  = 16 << 10 // bytes of a request that are read
	maxTaken = 64       // requests that the attacker keeps
)

// Servers are the API that wants the key and the attacker's collector.
type Servers struct {
	API, Attacker string // URLs
	key           string

	mu    sync.Mutex
	paid  int      // invoices made with the right key
	taken []string // what was sent to the attacker
	all   []*http.Server
	ended sync.WaitGroup
}

// Serve starts both on loopback, under a certificate that it writes to caFile.
func Serve(key, caFile string) (*Servers, error) {
	cert, err := selfSigned(caFile)
	if err != nil {
		return nil, err
	}
	s := &Servers{key: key}
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"paths": []string{"/v1/invoices"}})
	})
	api.HandleFunc("POST /v1/invoices", s.invoice)
	attacker := http.NewServeMux()
	attacker.HandleFunc("POST /collect", s.collect)
	if s.API, err = s.listen(api, cert); err == nil {
		s.Attacker, err = s.listen(attacker, cert)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Servers) listen(h http.Handler, cert tls.Certificate) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	s.all = append(s.all, srv)
	s.ended.Go(func() {
		if err := srv.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
		}
	})
	return "https://" + l.Addr().String(), nil
}

// Close ends both.
func (s *Servers) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, srv := range s.all {
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close() // what is still open ends with us
		}
	}
	s.ended.Wait()
}

// invoice wants the key and, like many a debugging API, sends it back.
func (s *Servers) invoice(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxBody)) // the order itself is of no interest
	got := r.Header.Get("Authorization")
	if subtle.ConstantTimeCompare([]byte(got), []byte("Bearer "+s.key)) != 1 {
		answer(w, 401, map[string]any{"error": "wrong key"})
		return
	}
	s.mu.Lock()
	s.paid++
	s.mu.Unlock()
	answer(w, 201, map[string]any{"invoice": "made", "you_sent": got})
}

func (s *Servers) collect(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(io.LimitReader(r.Body, maxBody)) // what came before an error counts as well
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) < maxTaken {
		s.taken = append(s.taken, string(b))
	}
	answer(w, 200, map[string]any{"thanks": len(b)})
}

// Invoices is how many calls succeeded.
func (s *Servers) Invoices() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paid
}

// Loot is all that the attacker got since the last time.
func (s *Servers) Loot() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := strings.Join(s.taken, "\n")
	s.taken = nil
	return out
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}

// selfSigned makes a certificate for 127.0.0.1 that lasts an hour.
func selfSigned(file string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "thumbturn demo"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(file, b, 0o600)
}

package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"

	"github.com/lull-ops/lull"
)

// tlsMode is the mode that holds when d names none.
func (d DSN) tlsMode() TLSMode {
	switch {
	case d.TLS != "":
		return d.TLS
	case d.Socket != "":
		return TLSOff
	case d.CA != "":
		return TLSVerifyFull
	}
	return TLSPreferred
}

// tlsConfig is nil for TLSOff.
func (d DSN) tlsConfig() (*tls.Config, error) {
	mode := d.tlsMode()
	if mode == TLSOff {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: d.ServerName}
	if conf.ServerName == "" {
		conf.ServerName = d.Host
	}
	if d.CA != "" {
		pool, err := readCA(d.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	if d.Cert != "" || d.Key != "" {
		pair, err := tls.LoadX509KeyPair(d.Cert, d.Key)
		if err != nil {
			return nil, lull.Errorf(lull.Usage, "cert= and key= are PEM files that belong together", "read client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	switch mode {
	case TLSPreferred, TLSRequired:
		acceptOldServers(conf)
		conf.InsecureSkipVerify = true
	case TLSVerifyCA:
		conf.InsecureSkipVerify = true // VerifyConnection checks all but the name
		conf.VerifyConnection = verifyChain(conf.RootCAs)
	case TLSVerifyFull, TLSOff:
		if conf.ServerName == "" {
			return nil, badDSN("tls=verify-full needs a host name, or server-name=NAME")
		}
	}
	return conf, nil
}

// acceptOldServers lets MySQL 5.6, which ends at TLS 1.0, in. Only for modes that verify
// nothing, where an attacker in the middle has won anyway.
func acceptOldServers(conf *tls.Config) {
	conf.MinVersion = tls.VersionTLS10
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		conf.CipherSuites = append(conf.CipherSuites, s.ID)
	}
}

func readCA(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, lull.Errorf(lull.Usage, "ca= is a PEM file of certificates", "read CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, lull.Errorf(lull.Usage, "ca= is a PEM file of certificates", "read CA %s: it holds no certificate", path)
	}
	return pool, nil
}

func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("server sent no certificate")
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		if err != nil {
			// The type that classify knows, as crypto/tls returns it itself.
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
		return nil
	}
}

// TLS of Go's standard library, as a server or as a client: see ../stacks.py for what both say and are told.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pool(file string) *x509.CertPool {
	pem, err := os.ReadFile(file)
	check(err)
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(pem)
	return p
}

func version(v uint16) string {
	return map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"}[v]
}

func serve(address string, port int, cert, key, ca string) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(err)
	asks := []tls.ClientAuthType{tls.NoClientCert, tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert}
	for i, ask := range asks {
		config := &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientAuth: ask, ClientCAs: pool(ca),
			NextProtos: []string{"http/1.1"},
		}
		l, err := tls.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port+i)), config)
		check(err)
		go func() {
			for {
				c, err := l.Accept()
				check(err)
				go answer(c.(*tls.Conn))
			}
		}()
	}
	select {}
}

func answer(c *tls.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	s := c.ConnectionState()
	seen, _ := json.Marshal(map[string]any{
		"version": version(s.Version), "cipher": tls.CipherSuiteName(s.CipherSuite),
		"resumed": s.DidResume, "peer": len(s.PeerCertificates) > 0,
	})
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nx-seen: %s\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", seen)
}

func ask(ca, certs string) {
	caches := map[string]tls.ClientSessionCache{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		w := strings.Fields(lines.Text())
		name, address, port, sni, v, cert, session, alpn := w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
		config := &tls.Config{ServerName: sni, RootCAs: pool(ca), MinVersion: tls.VersionTLS13}
		if v == "1.2" {
			config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		}
		if cert != "-" {
			pair, err := tls.LoadX509KeyPair(certs+"/"+cert+".pem", certs+"/"+cert+".key")
			check(err)
			// Also where the server's list of authorities does not have its issuer.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		if session != "-" {
			if caches[session] == nil {
				caches[session] = tls.NewLRUClientSessionCache(4)
			}
			config.ClientSessionCache = caches[session]
		}
		if alpn != "-" {
			config.NextProtos = strings.Split(alpn, ",")
		}
		said := once(net.JoinHostPort(address, port), config)
		said["name"] = name
		text, _ := json.Marshal(said)
		fmt.Println(string(text))
	}
}

func once(to string, config *tls.Config) map[string]any {
	raw, err := net.Dial("tcp", to)
	check(err)
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	said := map[string]any{"port": raw.LocalAddr().(*net.TCPAddr).Port}
	c := tls.Client(raw, config)
	defer c.Close()
	if err := c.Handshake(); err != nil {
		said["error"] = err.Error()
		return said
	}
	s := c.ConnectionState()
	said["version"], said["cipher"], said["resumed"] = version(s.Version), tls.CipherSuiteName(s.CipherSuite), s.DidResume
	fmt.Fprintf(c, "GET / HTTP/1.0\r\nhost: %s\r\n\r\n", config.ServerName)
	answer, err := io.ReadAll(c)
	if err != nil {
		said["error"] = err.Error()
	}
	said["answer"] = string(answer)
	return said
}

func main() {
	a := os.Args
	if a[1] == "serve" {
		port, err := strconv.Atoi(a[3])
		check(err)
		serve(a[2], port, a[4], a[5], a[6])
	}
	ask(a[2], a[3])
}

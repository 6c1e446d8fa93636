// TLS of Java's JSSE, as a server or as a client: see ../stacks.py for what both say and are told.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.*;

public class TlsPeer {
    static byte[] read(String file) throws Exception {
        return Files.readAllBytes(Path.of(file));
    }

    static X509Certificate certificate(String file) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        return (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(read(file)));
    }

    static PrivateKey key(String file) throws Exception {
        String text = new String(read(file), StandardCharsets.US_ASCII);
        byte[] der = Base64.getMimeDecoder().decode(text.replaceAll("-----[^-]*-----", ""));
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der));
    }

    /** Always the one certificate, whatever the peer asks for. */
    static X509ExtendedKeyManager always(String cert, String key) throws Exception {
        X509Certificate[] chain = {certificate(cert)};
        PrivateKey secret = key(key);
        return new X509ExtendedKeyManager() {
            public String[] getClientAliases(String type, Principal[] issuers) { return new String[] {"one"}; }
            public String chooseClientAlias(String[] types, Principal[] issuers, Socket s) { return "one"; }
            public String[] getServerAliases(String type, Principal[] issuers) { return new String[] {"one"}; }
            public String chooseServerAlias(String type, Principal[] issuers, Socket s) {
                return type.startsWith("EC") ? "one" : null;
            }
            public X509Certificate[] getCertificateChain(String alias) { return chain; }
            public PrivateKey getPrivateKey(String alias) { return secret; }
        };
    }

    static SSLContext context(String ca, String cert, String key) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        trusted.setCertificateEntry("ca", certificate(ca));
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        KeyManager[] keys = cert == null ? null : new KeyManager[] {always(cert, key)};
        context.init(keys, trust.getTrustManagers(), null);
        return context;
    }

    static String version(SSLSession s) {
        return s.getProtocol().replace("TLSv", "");
    }

    static void serve(String address, int port, String cert, String key, String ca) throws Exception {
        for (int ask = 0; ask < 3; ask++) {
            SSLServerSocketFactory factory = context(ca, cert, key).getServerSocketFactory();
            InetAddress at = InetAddress.getByName(address);
            SSLServerSocket listener = (SSLServerSocket) factory.createServerSocket(port + ask, 50, at);
            listener.setWantClientAuth(ask == 1);
            if (ask == 2) {
                listener.setNeedClientAuth(true);
            }
            SSLParameters parameters = listener.getSSLParameters();
            parameters.setApplicationProtocols(new String[] {"http/1.1"});
            listener.setSSLParameters(parameters);
            new Thread(() -> {
                while (true) {
                    try {
                        SSLSocket socket = (SSLSocket) listener.accept();
                        new Thread(() -> answer(socket)).start();
                    } catch (IOException e) {
                        return;
                    }
                }
            }).start();
        }
    }

    static void answer(SSLSocket socket) {
        try (socket) {
            socket.setSoTimeout(20000);
            long began = System.currentTimeMillis();
            socket.startHandshake();
            BufferedReader in = new BufferedReader(new InputStreamReader(socket.getInputStream()));
            for (String line = in.readLine(); line != null && !line.isEmpty(); ) {
                line = in.readLine();
            }
            SSLSession s = socket.getSession();
            boolean peer;
            try {
                peer = s.getPeerCertificates().length > 0;
            } catch (SSLPeerUnverifiedException e) {
                peer = false;
            }
            String seen = "{\"version\":\"" + version(s) + "\",\"cipher\":\"" + s.getCipherSuite()
                + "\",\"resumed\":" + (s.getCreationTime() < began) + ",\"peer\":" + peer + "}";
            String answer = "HTTP/1.1 200 OK\r\nx-seen: " + seen
                + "\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            socket.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
        } catch (IOException e) {
            // The client's end says that it failed.
        }
    }

    static void ask(String ca, String certs) throws Exception {
        Map<String, SSLContext> contexts = new HashMap<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] w = line.split(" ");
            String pem = w[5].equals("-") ? null : certs + "/" + w[5] + ".pem";
            String secret = w[5].equals("-") ? null : certs + "/" + w[5] + ".key";
            // Sessions are the context's.
            SSLContext context = contexts.get(w[6]);
            if (context == null) {
                context = context(ca, pem, secret);
                if (!w[6].equals("-")) {
                    contexts.put(w[6], context);
                }
            }
            System.out.println("{\"name\":\"" + w[0] + "\"," + once(context, w) + "}");
        }
    }

    static String once(SSLContext context, String[] w) throws Exception {
        StringBuilder said = new StringBuilder();
        Socket raw = new Socket();
        raw.setTcpNoDelay(true);
        raw.connect(new InetSocketAddress(w[1], Integer.parseInt(w[2])));
        raw.setSoTimeout(20000);
        said.append("\"port\":").append(raw.getLocalPort());
        int port = Integer.parseInt(w[2]);
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(raw, w[3], port, true)) {
            socket.setEnabledProtocols(new String[] {"TLSv" + w[4]});
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setServerNames(List.of(new SNIHostName(w[3])));
            if (!w[7].equals("-")) {
                parameters.setApplicationProtocols(w[7].split(","));
            }
            socket.setSSLParameters(parameters);
            long began = System.currentTimeMillis();
            socket.startHandshake();
            SSLSession s = socket.getSession();
            said.append(",\"version\":\"").append(version(s));
            said.append("\",\"cipher\":\"").append(s.getCipherSuite());
            said.append("\",\"resumed\":").append(s.getCreationTime() < began);
            String request = "GET / HTTP/1.0\r\nhost: " + w[3] + "\r\n\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
            said.append(",\"answer\":\"").append(escaped(answer)).append('"');
        } catch (IOException e) {
            said.append(",\"error\":\"").append(escaped(e.toString())).append('"');
        }
        return said.toString();
    }

    static String escaped(String text) {
        StringBuilder out = new StringBuilder();
        for (char c : text.toCharArray()) {
            out.append(c < ' ' || c > '~' || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : "" + c);
        }
        return out.toString();
    }

    public static void main(String[] a) throws Exception {
        if (a[0].equals("serve")) {
            serve(a[1], Integer.parseInt(a[2]), a[3], a[4], a[5]);
        } else {
            ask(a[1], a[2]);
        }
    }
}

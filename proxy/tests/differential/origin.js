// An origin that reports what Node's parser reads, one JSON object a line, before it answers. The
// lenient parser: what it takes beyond the standard is what this test is for.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

const report = (what) => fs.writeSync(1, JSON.stringify(what) + '\n');
const printable = (text) => text.replace(/[^!-~]/g, '');

const options = {
  insecureHTTPParser: true,
  maxHeaderSize: 1 << 17,
  headersTimeout: 0,
  requestTimeout: 0,
  keepAliveTimeout: 3600 * 1000,
};

const server = http.createServer(options, (request, response) => {
  const markers = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    if (request.rawHeaders[at].toLowerCase() === 'x-marker') {
      markers.push(printable(request.rawHeaders[at + 1]));
    }
  }
  const head = {method: request.method, target: request.url, markers};
  report({witness: 'head', ...head});
  const hash = crypto.createHash('sha256');
  let length = 0;
  request.on('data', (piece) => {
    hash.update(piece);
    length += piece.length;
  });
  request.on('end', () => {
    const digest = hash.digest('hex').slice(0, 16);
    const trailers = request.rawTrailers.length / 2;
    report({witness: 'body', ...head, length, digest, trailers});
    const fields = {'X-Target': request.url, 'Content-Length': request.url.length};
    response.writeHead(200, fields);
    response.end(request.url);
  });
});
server.on('clientError', (error, socket) => {
  // Behind what was refused comes the rest of its body, and is refused again.
  if (socket.isRefused) {
    return;
  }
  socket.isRefused = true;
  // A body that ends with its connection is no bytes that were refused.
  if (String(error.code).startsWith('HPE_') && error.code !== 'HPE_INVALID_EOF_STATE') {
    const [method, target] = error.rawPacket.toString('latin1').split('\r\n', 1)[0].split(' ');
    report({witness: 'refused', method, target});
  }
  socket.end('HTTP/1.1 400 Bad Request\r\nServer: node\r\nContent-Length: 0\r\n' +
    'Connection: close\r\n\r\n');
});
server.listen({path: process.argv[2], backlog: 1024});

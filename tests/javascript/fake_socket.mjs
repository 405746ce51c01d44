// A WebSocket without a network: what was sent is kept, what is heard is said by the test.
export function fakeSockets() {
  const opened = [];
  class FakeSocket {
    constructor(url) {
      Object.assign(this, { url, sent: [], closed: undefined });
      opened.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close(code) {
      this.closed = code;
    }
    open() {
      this.onopen();
    }
    say(...messages) {
      for (const message of messages) this.onmessage({ data: JSON.stringify(message) });
    }
    end(code = 1006, reason = "") {
      this.onclose({ code, reason });
    }
    types() {
      return this.sent.map((message) => message.type);
    }
  }
  return { FakeSocket, opened, last: () => opened[opened.length - 1] };
}

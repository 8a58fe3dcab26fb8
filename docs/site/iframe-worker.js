// Lets the search work on pages that are opened from a disk: a browser starts no Worker there, so its script runs in a hidden frame. The name
// is the one that the theme's plugin `offline` looks for before it takes a script from elsewhere.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inside = frame.contentWindow;
      this.inside.postMessage = (data) => this.tell(this, data);
      this.inside.importScripts = (...urls) => urls.reduce((before, next) => before.then(() => this.load(next)), Promise.resolve());
      this.loaded = this.load(url);
    }

    load(url) {
      return new Promise((done, failed) => {
        const script = this.inside.document.createElement("script");
        script.src = new URL(url, location.href);
        script.onload = done;
        script.onerror = failed;
        this.inside.document.body.append(script);
      });
    }

    tell(target, data) {
      const event = new MessageEvent("message", {data});
      target.dispatchEvent(event);
      if (target.onmessage) target.onmessage(event);
    }

    postMessage(data) {
      this.loaded.then(() => this.tell(this.inside, data));
    }

    terminate() {
      this.inside.frameElement.remove();
    }
  };
}

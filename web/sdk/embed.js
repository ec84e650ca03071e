// A broadcast in any page, without a module or a build:
//
//     <script src="https://call.example.com/sdk/embed.js" data-room="stage" async></script>
//
// The script puts a frame with the viewer page where it stands. Attributes: data-room (needed), data-publisher, data-token,
// data-title, data-ratio ("16/9"), data-playout-delay (milliseconds). The server allows the site with app.frame_ancestors.
(() => {
    const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
    if (!script || !script.dataset.room) {
        console.error('roost: <script src=".../sdk/embed.js"> needs the attribute data-room and a place in the page');
        return;
    }
    const { room, publisher, token, title, ratio, playoutDelay } = script.dataset;
    const path = `/watch/${encodeURIComponent(room)}${publisher ? `/${encodeURIComponent(publisher)}` : ''}`
        + (playoutDelay ? `?playout_delay=${encodeURIComponent(playoutDelay)}` : '');
    const frame = document.createElement('iframe');
    // behind #, where no server and no proxy reads it
    frame.src = new URL(path, script.src).href + (token ? `#token=${encodeURIComponent(token)}` : '');
    frame.title = title ?? 'Live video';
    frame.allow = 'autoplay; fullscreen; picture-in-picture';
    frame.loading = 'lazy';
    frame.style.cssText = 'display:block;width:100%;border:0;background:#000';
    frame.style.aspectRatio = ratio ?? '16/9';
    script.after(frame);
})();

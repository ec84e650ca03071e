/** The application: shows the page that belongs to the address. */

import { E2ee, RoostError, keyFromText, keyToText } from '../sdk/roost.js';
import { Account } from './account.js';
import { callPage } from './pages/call.js';
import { contactsPage } from './pages/contacts.js';
import { lobbyPage } from './pages/lobby.js';
import { messagePage } from './pages/message.js';
import { roomPage } from './pages/room.js';
import { signInPage } from './pages/sign_in.js';
import { watchPage } from './pages/watch.js';
import { callPath, parseRoute, playoutDelayOf, roomPath, secretLink } from './router.js';
import { client, roostApp } from './session.js';
import { applyLanguage, t, tMaybe } from './texts.js';
import { toast } from './ui/announce.js';
import { hashOfKey, keyOfHash } from './ui/encryption.js';
import { showIncoming } from './ui/incoming.js';
import { LocalMedia } from './ui/local_media.js';
import { problemLine, problemText } from './ui/notice.js';

const root = /** @type {HTMLElement} */ (document.getElementById('app'));

/** @type {{close?: () => void} | null} */
let shown = null;
/** What the lobby opened, kept between pages so that the camera does not flicker. */
let media = new LocalMedia();
/** Who signed in here. @type {Account | null} */
let account = null;

/**
 * @param {string} name
 * @param {{element: HTMLElement, close?: () => void}} page
 */
function show(name, page) {
    shown?.close?.();
    shown = page;
    roostApp.page = name;
    root.replaceChildren(page.element);
}

/** @param {string} path */
function go(path) {
    history.pushState(null, '', path);
    route();
}

/** Shows the page of the current address. */
function route() {
    document.title = t('app.name');
    const where = parseRoute(location.pathname);
    switch (where.page) {
        case 'lobby':
            return showLobby({});
        case 'room':
            return showLobby({ room: where.room });
        case 'call':
            return showLobby({ link: where.link });
        case 'contacts':
            return showContacts();
        case 'watch':
            return show('watch', watchPage({ room: where.room, publisher: where.publisher, token: tokenOfAddress(), embedded: window.parent !== window,
                playoutDelay: playoutDelayOf(location.search) }));
        default:
            return show('message', {
                element: messagePage({
                    icon: 'info',
                    title: t('notFound.title'),
                    body: t('notFound.body'),
                    actions: [{ label: t('ended.home'), href: '/', primary: true }],
                }),
            });
    }
}

/** @param {{room?: string, link?: string}} where */
function showLobby({ room, link }) {
    show(
        'lobby',
        lobbyPage({
            media,
            room,
            link,
            key: link ? null : keyOfHash(location.hash),
            onjoin: (choice) => (link ? joinCall(link, choice.name) : joinRoom(choice)),
            onother: () => go(link ? '/' : callPath(secretLink())),
        }),
    );
}

/** Links of `roost token --link` have it behind #, where no server and no proxy reads it. */
function tokenOfAddress() {
    return new URLSearchParams(location.hash.slice(1)).get('token')
        ?? new URLSearchParams(location.search).get('token') ?? undefined;
}

/** @param {{room: string, name: string, key: string | null, encrypt: boolean}} choice */
async function joinRoom({ room: name, name: own, key: given, encrypt }) {
    const key = given ?? (encrypt ? keyToText(E2ee.createKey()) : null);
    const token = tokenOfAddress();
    const room = await (await client()).join(name, {
        name: own,
        token,
        ...(key ? { e2ee: { key: keyFromText(key) } } : {}),
    });
    const path = roomPath(name) + (key ? hashOfKey(key) : '');
    if (location.pathname !== roomPath(name)) history.pushState(null, '', path);
    roostApp.room = room;
    const used = media;
    media = new LocalMedia();
    media.cameraOn = used.cameraOn;
    media.microphoneOn = used.microphoneOn;
    show('room', roomPage({ room, media: used, link: path, onended: showEnded }));
}

/**
 * @param {string} link
 * @param {string} own display name
 */
async function joinCall(link, own) {
    const lobby = shown;
    await media.settled; // a call begins with the devices it has
    if (shown !== lobby) return;
    const connection = await client();
    const role = await connection.link(link, { name: own });
    const used = media;
    media = new LocalMedia();
    show(
        'call',
        callPage({ client: connection, link, role, name: own, media: used, onended: showEnded }),
    );
}

/** ---- contacts ---- */

/** @param {string} [user] whose conversation is shown */
function showContacts(user) {
    if (!account) return show('sign-in', signInPage({ onsignin: signIn }));
    show('contacts', contactsPage({ account, user, oncall: callContact, onsignout: () => void signOut() }));
}

/** @param {{user: string, password?: string}} credentials */
async function signIn(credentials) {
    const signedIn = await Account.signIn(await client(), credentials.password ? credentials : { ...credentials, token: tokenOfAddress() });
    account = signedIn;
    roostApp.account = signedIn;
    signedIn.on('signed-out', (error) => {
        forgetAccount();
        toast(`${t('contacts.signedOut')}. ${problemLine(error)}`);
    });
    signedIn.client.on('incoming-call', (call) => {
        if (account === signedIn) contactCalls(call);
    });
    showContacts();
}

async function signOut() {
    await account?.signOut();
    forgetAccount();
}

function forgetAccount() {
    account?.close();
    account = roostApp.account = null;
    if (parseRoute(location.pathname).page === 'contacts') showContacts();
}

/** @param {import('../sdk/roost.js').Call} call */
function contactCalls(call) {
    if (roostApp.page === 'call') return; // that page answers for itself
    if (roostApp.page === 'room') return void call.reject('busy').catch(() => {});
    const user = call.peer;
    const name = account?.contacts.get(user)?.name || call.peerName;
    call.on('ended', () => void account?.loadCalls().catch(() => {})); // the page asks again when it is opened
    // names are chosen: the user name beside them tells who it is
    showIncoming(call, user && user !== name ? `${name} (${user})` : name, (answer) => {
        if (answer === 'reject') call.reject().catch(() => {});
        else talk({ user, name, video: answer === 'video', incoming: call });
    });
}

/**
 * @param {string} user
 * @param {boolean} video
 */
function callContact(user, video) {
    talk({ user, name: account?.nameOf(user) ?? user, video });
}

/** @param {{user: string, name: string, video: boolean, incoming?: import('../sdk/roost.js').Call}} what */
function talk({ user, name, video, incoming }) {
    if (!account) return;
    const devices = new LocalMedia();
    devices.cameraOn = video;
    void devices.start();
    show(
        'call',
        callPage({
            client: account.client,
            link: user,
            contact: name,
            role: incoming ? 'answer' : 'call',
            incoming,
            name: account.user,
            media: devices,
            onended: (reason) => {
                showContacts(user);
                if (reason instanceof RoostError) toast(problemLine(reason));
                void account?.loadCalls().catch(() => {}); // seen when the page is opened next
            },
        }),
    );
}

/** @param {RoostError | 'left' | 'hangup' | 'transferred' | null} reason null: the user left */
function showEnded(reason) {
    roostApp.room = null;
    const problem = reason instanceof RoostError ? reason : null;
    if (problem?.moved) {
        // the operator sent us there: its lobby, with the devices still chosen
        go(`${roomPath(problem.moved.room)}#token=${problem.moved.token}`);
        return;
    }
    const text = problem && problemText(problem);
    const key = reason === 'hangup' || reason === 'transferred' ? reason : 'left';
    /** @type {Record<string, string>} */
    const titles = { kicked: 'ended.kicked', 'room-ended': 'ended.ended', replaced: 'ended.replaced', 'session-lost': 'ended.lost' };
    const stay = problem?.code === 'kicked' || problem?.code === 'room-ended';
    const again = { label: t('ended.again'), action: route, primary: !stay };
    const home = { label: t('ended.home'), href: '/', primary: stay };
    show('message', {
        element: messagePage({
            icon: problem ? 'info' : 'check',
            title: problem ? (tMaybe(titles[problem.code] ?? '') ?? text?.title ?? '') : t(`ended.${key}`),
            body: problem
                ? (text?.body ?? '')
                : t(`ended.${key}Body`),
            actions: stay ? [home] : [again, home],
        }),
    });
}

applyLanguage();
addEventListener('popstate', route);
// links inside the application change the page without loading it anew
document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[href^="/"]') : null;
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    go(link.getAttribute('href') ?? '/');
});
route();

/**
 * Every text of the application in one place, ready for translation: add a language to TEXTS with
 * the same keys. `{name}` stands for a value; `one|other` forms are chosen by `{count}`.
 */

const EN = {
    'app.name': 'roost',

    'watch.video': 'Live video',
    'watch.live': 'Live',
    'watch.connecting': 'Connecting…',
    'watch.waiting': 'Nothing is live here yet. The picture begins by itself.',
    'watch.paused': 'The broadcast has paused. It goes on by itself.',
    'watch.soundOnly': 'Sound only for the moment.',
    'watch.soundChosen': 'Sound only, as you chose.',
    'watch.quality': 'Picture quality',
    'watch.qualityNow': 'Picture quality: {value}',
    'watch.auto': 'Auto',
    'watch.noPicture': 'Sound only',
    'watch.lines': '{lines}p',
    'watch.linesAndRate': '{lines}p · {rate}',
    'watch.megabits': '{value} Mbit/s',
    'watch.kilobits': '{value} kbit/s',
    'watch.qualityFailed': 'The quality could not be changed. Try again.',
    'watch.unmute': 'Turn sound on',
    'watch.again': 'Try again',
    'watch.noToken': 'This broadcast needs a link with a valid token. Ask whoever sent you here for a new one.',
    'watch.noAccess': 'Your link is not good for this broadcast.',
    'watch.none': 'There is no such broadcast.',
    'watch.unreachable': 'The server cannot be reached. Check your connection and try again.',

    'lobby.title': 'Start or join a call',
    'lobby.titleRoom': 'Join “{room}”',
    'lobby.titleCall': 'Private call',
    'lobby.intro': 'No account, nothing to install. Share the link and talk.',
    'lobby.introRoom': 'Check how you look and sound, then join.',
    'lobby.introCall': 'Whoever opens the same link talks to you directly, from browser to browser.',
    'lobby.name': 'Your name',
    'lobby.namePlaceholder': 'How others see you',
    'lobby.nameMissing': 'Enter a name so that others know who you are.',
    'lobby.room': 'Room',
    'lobby.roomHint': 'Anyone with the room’s link can join.',
    'lobby.roomMissing': 'Enter a room name: letters, digits and dashes.',
    'lobby.newName': 'Suggest another name',
    'lobby.join': 'Join',
    'lobby.joining': 'Joining…',
    'lobby.joinSilent': 'Join without camera',
    'lobby.joinListen': 'Join to listen',
    'lobby.callPrivate': 'Call one person instead',
    'lobby.roomInstead': 'Start a group call instead',
    'lobby.preview': 'Preview of your camera',
    'lobby.previewStarting': 'Starting camera…',
    'lobby.cameraOff': 'Camera is off',
    'lobby.cameraNone': 'Others will see your initials',
    'lobby.level': 'Microphone level',
    'lobby.levelHint': 'Say something: the bar should move.',

    'control.mic': 'Mute',
    'control.micOff': 'Unmute',
    'control.camera': 'Stop camera',
    'control.cameraOff': 'Start camera',
    'control.micLabel': 'Mic',
    'control.cameraLabel': 'Camera',
    'control.screen': 'Share screen',
    'control.screenStop': 'Stop sharing',
    'control.screenLabel': 'Share',
    'control.chat': 'Chat',
    'control.people': 'People',
    'control.more': 'More',
    'control.leave': 'Leave',
    'control.hangup': 'Hang up',
    'control.devicesMic': 'Choose microphone and loudspeaker',
    'control.devicesCamera': 'Choose camera',
    'control.close': 'Close',
    'control.cancel': 'Cancel',
    'control.bar': 'Call controls',

    'menu.microphone': 'Microphone',
    'menu.speaker': 'Loudspeaker',
    'menu.camera': 'Camera',
    'menu.defaultDevice': 'System default',
    'menu.unnamedDevice': 'Device {number}',
    'menu.noDevices': 'None found',
    'menu.copyLink': 'Copy link',
    'menu.grid': 'Show everybody alike',
    'menu.speakerView': 'Show the speaker large',
    'menu.pip': 'Picture in picture',
    'menu.fullscreen': 'Full screen',
    'menu.fullscreenExit': 'Leave full screen',
    'menu.shortcuts': 'Keyboard shortcuts',
    'menu.details': 'Connection details',
    'menu.hold': 'Put on hold',
    'menu.resume': 'Resume',
    'menu.transfer': 'Transfer…',
    'menu.lock': 'Lock the room',
    'menu.unlock': 'Unlock the room',
    'menu.end': 'End for everybody',
    'menu.pin': 'Keep large',
    'menu.unpin': 'No longer large',
    'menu.muteMember': 'Mute for everybody',
    'menu.unmuteMember': 'Allow to speak',
    'menu.promote': 'Make moderator',
    'menu.kick': 'Remove',
    'menu.actionsFor': 'Actions for {name}',

    'room.title': 'Call in {room}',
    'room.stage': 'People in the call',
    'room.you': 'You',
    'room.youNamed': '{name} (you)',
    'room.screenOf': '{name}’s screen',
    'room.alone': 'You’re the first one here',
    'room.aloneHint': 'Send this link to the people you want to talk to.',
    'room.localLink': 'It works on this computer only. For others, open the network address that roost printed when it started.',
    'room.copyLink': 'Copy link',
    'room.copied': 'Link copied',
    'room.copyFailed': 'Copying is not allowed here. The link: {link}',
    'room.others': '{count} more',
    'room.count': '{count} person in the call|{count} people in the call',
    'room.locked': 'Locked',
    'room.talkingMuted': 'You’re muted: nobody hears you.',
    'room.unmute': 'Unmute',
    'room.mutedByModerator': 'A moderator muted you.',
    'room.youShare': 'You’re sharing your screen',
    'room.shares': '{name} is sharing a screen',
    'room.connecting': 'Connecting…',
    'room.signalingLost': 'Reconnecting… Sound and picture may go on meanwhile.',
    'room.mediaLost': 'Sound and picture are interrupted. Reconnecting…',
    'room.allLost': 'Connection lost. Reconnecting…',
    'room.backAgain': 'Connected again',
    'room.soundBlocked': 'The browser holds back sound.',
    'room.soundOn': 'Turn on sound',
    'room.pausedPath': 'Your connection is too slow for this picture',
    'room.pausedServer': 'The server is too busy for this picture',

    'e2ee.option': 'Encrypt from end to end',
    'e2ee.optionHint': 'Not even the server can see or hear you. The key is part of the link.',
    'e2ee.optionUnsupported': 'This browser cannot encrypt from end to end.',
    'e2ee.lobby': 'Encrypted from end to end: the key is in your link.',
    'e2ee.chip': 'End-to-end encrypted',
    'e2ee.chipPartly': 'Not with everybody',
    'e2ee.title': 'End-to-end encryption',
    'e2ee.explained':
        'Sound and picture are encrypted in your browser and decrypted in the others’. The server passes them on without the key. Chat messages are not part of it.',
    'e2ee.compare': 'Everybody with the same key sees these words. Read them to each other to be sure.',
    'e2ee.secure': 'Has the key',
    'e2ee.waiting': 'Exchanging keys…',
    'e2ee.wrongKey': '{name} has another key: you cannot see or hear each other.',
    'e2ee.noKey': '{name} joined without the key: you cannot see or hear each other.',
    'e2ee.failed': 'What comes from {name} cannot be decrypted.',
    'e2ee.weHaveNoKey': '{name}’s sound and picture are encrypted.',
    'e2ee.wrongKeyShort': 'Has another key',
    'e2ee.noKeyShort': 'Joined without the key',
    'e2ee.failedShort': 'Cannot be decrypted',
    'e2ee.weHaveNoKeyShort': 'Encrypted',
    'e2ee.openWholeLink': 'This call is end-to-end encrypted. Open the whole link that you were sent, with the part behind #.',
    'e2ee.several': '{count} person does not have your key.|{count} people do not have your key.',
    'e2ee.details': 'Details',

    'quality.poorSend': 'Your connection is poor: others see and hear you badly.',
    'quality.poorReceive': '{name}’s picture or sound arrives badly.',
    'quality.away': '{name} is reconnecting',

    'live.joined': '{name} joined',
    'live.left': '{name} left',
    'live.muted': 'Microphone off',
    'live.unmuted': 'Microphone on',
    'live.cameraOn': 'Camera on',
    'live.cameraOff': 'Camera off',
    'live.chat': '{name}: {text}',
    'live.locked': 'The room is locked',
    'live.unlocked': 'The room is unlocked',

    'chat.title': 'Chat',
    'chat.placeholder': 'Message everybody',
    'chat.send': 'Send',
    'chat.empty': 'No messages yet. They are gone when the call ends.',
    'chat.log': 'Messages',
    'chat.tooLong': 'This message is too long.',
    'file.attach': 'Share a file',
    'file.shared': 'Shared with everybody',
    'file.get': 'Download {name}',
    'file.saved': 'Saved',
    'file.gone': 'No longer here',
    'file.tooLarge': 'This file is too large. A file has at most 64 MB.',
    'live.file': '{name} shares {file}',
    'chat.unread': '{count} new message|{count} new messages',

    'people.title': 'People',
    'people.moderator': 'Moderator',
    'people.list': 'People in the call',
    'people.micOff': 'microphone off',
    'people.micOn': 'microphone on',

    'confirm.end': 'End the meeting for everybody?',

    'shortcuts.title': 'Keyboard shortcuts',
    'shortcuts.mic': 'Microphone on or off',
    'shortcuts.camera': 'Camera on or off',
    'shortcuts.screen': 'Share the screen',
    'shortcuts.chat': 'Chat',
    'shortcuts.people': 'People',
    'shortcuts.fullscreen': 'Full screen',
    'shortcuts.help': 'This list',

    'details.title': 'Connection details',
    'details.state': 'Media',
    'details.rtt': 'Round trip',
    'details.path': 'Path',
    'details.available': 'Uplink estimate',
    'details.track': 'Track',
    'details.bitrate': 'Bit rate',
    'details.loss': 'Loss',
    'details.size': 'Picture',
    'details.sent': 'sent {kind}',
    'details.received': 'received {kind}',
    'details.waiting': 'Measuring…',

    'call.waiting': 'Waiting for the other person',
    'call.waitingHint': 'Send them this link. The call begins when they open it.',
    'call.calling': 'Calling…',
    'call.ringing': 'It rings. They’ll be here in a moment.',
    'call.connecting': 'Connecting…',
    'call.reconnecting': 'Connection interrupted. Reconnecting…',
    'call.direct': 'Direct connection, encrypted from browser to browser',
    'call.held': 'The call is on hold: you neither see nor hear each other.',
    'call.heldBy': '{name} put the call on hold.',
    'call.join': 'Join call',

    'transfer.title': 'Transfer the call',
    'transfer.user': 'User name',
    'transfer.hint': '{name} calls them. Your call ends when they answer.',
    'transfer.action': 'Transfer',
    'transfer.under': 'Connecting you to {name}…',
    'transfer.unavailable': 'Nobody can be reached under this name. You still have the call.',
    'transfer.busy': 'They are in another call. You still have this one.',
    'transfer.rejected': 'They declined. You still have the call.',
    'transfer.timeout': 'They did not answer. You still have the call.',
    'transfer.failed': 'The call could not be transferred. You still have it.',

    'ended.left': 'You left the call',
    'ended.leftBody': 'Come back any time: the link stays the same.',
    'ended.hangup': 'The call has ended',
    'ended.hangupBody': 'The other person hung up.',
    'ended.transferred': 'You handed the call on',
    'ended.transferredBody': 'The two others are talking now.',
    'ended.kicked': 'You were removed from the room',
    'ended.ended': 'The meeting has ended',
    'ended.replaced': 'You joined from somewhere else',
    'ended.lost': 'The connection was lost',
    'ended.title': 'The call has ended',
    'ended.again': 'Join again',
    'ended.home': 'To the first page',

    'problem.insecure-context.title': 'This page needs https',
    'problem.insecure-context.body':
        'Browsers only give camera and microphone access on https:// or localhost. Open {link} instead.',
    'problem.insecure-context.action': 'Open with https',
    'problem.unsupported-browser.title': 'This browser cannot make calls',
    'problem.permission-denied.title': 'Camera and microphone are blocked',
    'problem.permission-denied.action': 'Try again',
    'problem.no-camera.title': 'No camera found',
    'problem.no-camera.action': 'Look again',
    'problem.no-microphone.title': 'No microphone found',
    'problem.no-microphone.action': 'Look again',
    'problem.device-busy.title': 'Camera or microphone is busy',
    'problem.device-busy.action': 'Try again',
    'problem.device-lost.title': 'A device was disconnected',
    'problem.device-lost.action': 'Use another one',
    'problem.server-unreachable.title': 'The server cannot be reached',
    'problem.server-unreachable.body': 'Check your internet connection. Next try in {seconds} s.',
    'problem.server-unreachable.action': 'Try now',
    'problem.room-full.title': 'This room is full',
    'problem.room-full.action': 'Try again',
    'problem.room-locked.title': 'This room is locked',
    'problem.room-locked.action': 'Try again',
    'problem.kicked.title': 'You were removed from this room',
    'problem.token-required.title': 'You need an invitation',
    'problem.token-required.body': 'Ask whoever invited you for a link, and open that.',
    'problem.token-invalid.title': 'This invitation is not valid',
    'problem.token-expired.title': 'This invitation has expired',
    'problem.media-failed.title': 'Sound and picture cannot get through',
    'problem.media-failed.action': 'Try again',
    'problem.server-full.title': 'The server is full',
    'problem.server-full.action': 'Try again',
    'problem.version-unsupported.title': 'This page is out of date',
    'problem.version-unsupported.action': 'Reload',
    'problem.user-busy.title': 'Somebody is already talking there',
    'problem.user-busy.action': 'Try again',
    'problem.retry': 'Try again',

    'notFound.title': 'There is nothing here',
    'notFound.body': 'The address may be mistyped. Start a call from the first page.',
};

/** @typedef {keyof typeof EN} TextKey */

/** @type {Record<string, Partial<Record<TextKey, string>>>} */
const TEXTS = { en: EN };

const language =
    (globalThis.navigator?.languages ?? []).map((tag) => tag.split('-')[0]).find((tag) => tag in TEXTS) ??
    'en';
const plurals = new Intl.PluralRules(language);

/**
 * A text in the user's language.
 *
 * @param {TextKey} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
    const forms = (TEXTS[language]?.[key] ?? EN[key]).split('|');
    const form = forms.length > 1 && plurals.select(Number(values.count)) !== 'one' ? forms[1] : forms[0];
    return form.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * The text for a key made at run time, or null when there is none.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string | null}
 */
export function tMaybe(key, values) {
    return key in EN ? t(/** @type {TextKey} */ (key), values) : null;
}

/** Tells the document its language and direction. */
export function applyLanguage() {
    document.documentElement.lang = language;
    document.documentElement.dir = ['ar', 'fa', 'he', 'ur'].includes(language) ? 'rtl' : 'ltr';
}

/** What the laboratory found, as Markdown. */

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const short = (end) => end.replace('relay/', '');
const isRelay = (end) => end.startsWith('relay/');

/** `results.calls`: "one other" to {connected, path, ms}; `results.groups`: kind to {path, ms}. */
export function tableOf(results, kinds) {
    const names = Object.keys(kinds);
    const allConnect = [...results.calls.values()].every(({ connected }) => connected);
    const cell = (one, other) => {
        const found = results.calls.get(`${one} ${other}`);
        const result = found ?? results.calls.get(`${other} ${one}`);
        if (!result) return '';
        if (!result.connected) return '**failed**';
        const path = found ? result.path : [...result.path].reverse();
        if (!path.some(isRelay)) return `direct, ${seconds(result.ms)}`;
        return `${path.map((end) => (isRelay(end) ? short(end) : '·')).join('–')}, ${seconds(result.ms)}`;
    };
    const lines = [
        'Chromium in each network calls Chromium in each other one, with a picture and a data channel both',
        'ways. The networks are namespaces with NATs of nftables, each checked with RFC 5780 beforehand;',
        `\`make lab\` measures and writes this anew.${allConnect ? ' All of them connect.' : ''}`,
        '',
        `| | ${names.map((name) => kinds[name].title).join(' | ')} |`,
        `|---|${names.map(() => '---').join('|')}|`,
        ...names.map((one) => `| **${kinds[one].title}** | ${names.map((other) => cell(one, other)).join(' | ')} |`),
        '',
        '"direct": from browser to browser. Else the relays in use: the row\'s own client and its transport',
        'to the server, then the column\'s; "·" is a client that is reached without a relay of its own. The time',
        'is that from the first description to the first answer through a data channel.',
        '',
    ];
    if (results.groups.size === 0) return `${lines.join('\n')}\n`;
    lines.push('| Group call (media server) from | through | everyone seen and heard after |', '|---|---|---|');
    for (const name of names) {
        const result = results.groups.get(name);
        if (result) lines.push(`| ${kinds[name].title} | ${isRelay(result.path) ? `relay, ${short(result.path)}` : 'UDP, without relay'} | ${seconds(result.ms)} |`);
    }
    return `${lines.join('\n')}\n\n`;
}

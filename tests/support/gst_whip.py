#!/usr/bin/python3
"""GStreamer's webrtcbin as a WHIP publisher and a WHEP viewer, as Debian has it.

    gst_whip.py publish URL [h264|vp8] [COLOUR]   a picture of one colour (0xAARRGGBB) and a tone
    gst_whip.py watch URL                         counts decoded pictures and sound

Writes one JSON object a line; ends with DELETE when its standard input does.
"""
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import gi

gi.require_version('Gst', '1.0')
gi.require_version('GstSdp', '1.0')
gi.require_version('GstWebRTC', '1.0')
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

VIDEO = {
    'h264': '! x264enc tune=zerolatency speed-preset=ultrafast bitrate=600 key-int-max=40 '
            '! video/x-h264,profile=constrained-baseline ! rtph264pay config-interval=-1 aggregate-mode=zero-latency '
            '! application/x-rtp,media=video,encoding-name=H264,payload=96 ',
    'vp8': '! vp8enc deadline=1 keyframe-max-dist=40 ! rtpvp8pay ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ',
}
AUDIO = ('audiotestsrc is-live=true wave=sine volume=0.2 ! opusenc ! rtpopuspay '
         '! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer. ')


def say(**fields):
    print(json.dumps(fields), flush=True)


class Session:
    """One peer connection that is negotiated by HTTP."""

    def __init__(self, url, description=None):
        self.url = url
        self.resource = None
        self.offered = False
        self.counts = {'audio': 0, 'video': 0}
        self.loop = GLib.MainLoop()
        if description:
            self.pipeline = Gst.parse_launch(description)
            self.peer = self.pipeline.get_by_name('peer')
        else:
            self.pipeline = Gst.Pipeline()
            self.peer = Gst.ElementFactory.make('webrtcbin', 'peer')
            self.peer.set_property('bundle-policy', GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
            self.pipeline.add(self.peer)
        self.peer.connect('notify::ice-gathering-state', self.gathering)
        self.peer.connect('notify::connection-state',
                          lambda *_: say(state=self.peer.get_property('connection-state').value_nick))
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect('message::error', self.failed)

    def run(self):
        threading.Thread(target=self.wait_for_end, daemon=True).start()
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)
        if self.resource:
            say(ended=self.request(self.resource, 'DELETE')[0])

    def wait_for_end(self):
        sys.stdin.read()
        GLib.idle_add(self.loop.quit)

    def failed(self, _bus, message):
        say(error=str(message.parse_error()))
        self.loop.quit()

    def request(self, url, method, body=None):
        fields = {'Content-Type': 'application/sdp'} if body else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, fields, method=method)) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def offer(self, *_):
        if self.offered:
            return
        self.offered = True
        self.peer.emit('create-offer', None, Gst.Promise.new_with_change_func(self.offer_made))

    def offer_made(self, promise):
        reply = promise.get_reply()  # owns the offer
        self.peer.emit('set-local-description', reply.get_value('offer'), Gst.Promise.new())

    def gathering(self, *_):
        if self.peer.get_property('ice-gathering-state') != GstWebRTC.WebRTCICEGatheringState.COMPLETE or self.resource:
            return
        sdp = self.peer.get_property('local-description').sdp.as_text()
        status, headers, text = self.request(self.url, 'POST', sdp.encode())
        say(status=status, text=None if status == 201 else text)
        if status != 201:
            self.loop.quit()
            return
        self.resource = urllib.parse.urljoin(self.url, headers['Location'])
        _result, message = GstSdp.SDPMessage.new_from_text(text)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.peer.emit('set-remote-description', answer, Gst.Promise.new())

    def count(self, kind):
        def counted(*_):
            self.counts[kind] += 1
            if self.counts[kind] % 20 == 0:
                say(**self.counts)
            return Gst.PadProbeReturn.OK
        return counted


def publish(url, codec='h264', colour='0xff20c81e'):
    session = Session(url, 'webrtcbin name=peer bundle-policy=max-bundle videotestsrc is-live=true pattern=solid-color foreground-color=' + colour
                      + ' ! video/x-raw,width=640,height=360,framerate=20/1 ! videoconvert ' + VIDEO[codec] + '! peer. ' + AUDIO)
    session.peer.connect('on-negotiation-needed', session.offer)
    session.run()


def watch(url):
    session = Session(url)

    def decoded(_bin, pad, kind):
        sink = Gst.ElementFactory.make('fakesink')
        sink.set_property('sync', False)
        session.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.add_probe(Gst.PadProbeType.BUFFER, session.count(kind))
        pad.link(sink.get_static_pad('sink'))

    def arrived(_peer, pad):
        kind = pad.get_current_caps().get_structure(0).get_string('media')
        decoder = Gst.ElementFactory.make('decodebin')
        decoder.connect('pad-added', decoded, kind)
        session.pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad('sink'))

    session.peer.connect('pad-added', arrived)
    session.pipeline.set_state(Gst.State.READY)
    for caps in ('application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2',
                 'application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,packetization-mode=(string)1,'
                 'profile-level-id=(string)42e01f; application/x-rtp,media=video,encoding-name=VP8,payload=97,clock-rate=90000'):
        session.peer.emit('add-transceiver', GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, Gst.Caps.from_string(caps))
    session.peer.connect('on-negotiation-needed', session.offer)
    GLib.idle_add(session.offer)
    session.run()


Gst.init(None)
{'publish': publish, 'watch': watch}[sys.argv[1]](*sys.argv[2:])

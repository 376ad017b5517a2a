import { sdkError } from '../../../../src/sdk/errors.js';
import { ClientStage } from './stage.js';

describe('the client of a map: its copy (12/CHP, D56)', () => {
  it('subscribes, waits for HUGZ, asks for a snapshot, then applies updates', () => {
    const stage = new ClientStage({ endpoints: 1 }).connect('a');
    expect(stage.news).toEqual([]);
    expect(stage.hugz('a').news).toEqual(['ask a']);
    expect(stage.client.isSynced).toBe(false);
    stage.snapshot({ '/x': '1' }, '3.7');
    expect(stage.news).toEqual(['replaced 0 > 1', 'synced a']);
    expect(stage.client.isSynced).toBe(true);
    stage.publish('a', '/y', '3.8', '2').publish('a', '/x', '3.9', '');
    expect(stage.news).toEqual(['/y: undefined > 2', '/x: 1 > undefined']);
    expect(stage.map).toEqual({ '/y': '2' });
  });

  it('does not take updates before HUGZ for a subscription that is in force', () => {
    const stage = new ClientStage({ endpoints: 1 }).connect('a');
    stage.publish('a', '/x', '1.1', 'early');
    expect(stage.news).toEqual([]);
    expect(stage.map).toEqual({});
  });

  it('keeps updates while a snapshot arrives, and drops those that it has already', () => {
    const stage = new ClientStage({ endpoints: 1 }).connect('a').hugz('a');
    stage.publish('a', '/old', '1.4', 'too old').publish('a', '/x', '1.6', 'newer');
    stage.publish('a', '/x', '1.7', 'newest').publish('a', '/gone', '1.8', '');
    stage.sync('/x', '1.2', 'snapshot').sync('/gone', '1.3', 'still').end('1.5');
    expect(stage.map).toEqual({ '/x': 'newest' });
    expect(stage.client.bytes).toBe('/x'.length + 'newest'.length + 128);
  });

  it('never steps back: an update with a lower number or the same is dropped', () => {
    const stage = ClientStage.synced({ '/x': 'now' });
    stage.publish('a', '/x', '1.5', 'new').publish('a', '/x', '1.4', 'old');
    stage.publish('a', '/x', '1.5', 'again').publish('a', '/x', '0.9', 'other epoch');
    expect(stage.map).toEqual({ '/x': 'new' });
    stage.publish('a', '/x', '2.1', 'next epoch');
    expect(stage.map).toEqual({ '/x': 'next epoch' });
  });

  it('replaces the whole map by each snapshot: a key deleted meanwhile vanishes', () => {
    const stage = ClientStage.synced({ '/kept': '1', '/deleted': '2' });
    stage.cut('a').connect('a').hugz('a').snapshot({ '/kept': '1', '/added': '3' }, '1.1');
    expect(stage.map).toEqual({ '/kept': '1', '/added': '3' });
    expect(stage.news).toEqual(['lost a closed', 'ask a', 'replaced 2 > 2', 'synced a']);
  });

  it('keeps the map until the next snapshot is complete', () => {
    const stage = ClientStage.synced({ '/x': 'old' });
    stage.cut('a').hugz('b').sync('/x', '2.1', 'half');
    expect(stage.map).toEqual({ '/x': 'old' });
  });

  it('takes a snapshot of a server that counts from 0 again (the Guide, D48)', () => {
    const stage = ClientStage.synced({ '/x': 'old' }, { endpoints: 1 });
    stage.publish('a', '/x', '0.900', 'dropped').cut('a').connect('a').hugz('a');
    stage.snapshot({ '/x': 'new' }, '0.1').publish('a', '/x', '0.2', 'newer');
    expect(stage.map).toEqual({ '/x': 'newer' });
  });

  it('a value that is set again is no change', () => {
    const stage = ClientStage.synced({ '/x': '1' });
    stage.publish('a', '/x', '1.1', '1').publish('a', '/none', '1.2', '');
    expect(stage.news).toEqual([]);
  });

  it('holds its subtree only: also what begins like HUGZ is not of it', () => {
    const stage = ClientStage.synced({ '/in/x': '1', '/out/y': '2' }, { subtree: '/in/' });
    stage.publish('a', 'HUGZ1', '1.1', 'no').publish('a', '/in/z', '1.2', '3');
    expect(stage.map).toEqual({ '/in/x': '1', '/in/z': '3' });
    expect(stage.client.malformed).toBe(2);
  });

  it('counts malformed messages, and goes on', () => {
    const stage = ClientStage.synced({ '/x': '1' });
    stage.say('a', 'only one').say('a', '/k', 'short', '', '', 'v').say('a', '', '', '', '', '');
    stage.cut('a').hugz('b').answer('KTHXBAI').answer('x', 'y').snapshot({ '/y': '2' });
    expect(stage.map).toEqual({ '/y': '2' });
    expect(stage.client.malformed).toBe(5);
  });
});

describe('the client of a map: which node it follows (D53, D56)', () => {
  it('is subscribed everywhere, and follows the first that says HUGZ', () => {
    const stage = new ClientStage().connect('a').connect('b').hugz('b').hugz('a');
    expect(stage.news).toEqual(['ask b']);
    stage.snapshot({ '/x': '1' }).publish('a', '/x', '9.9', 'of another');
    expect(stage.map).toEqual({ '/x': '1' });
  });

  it('without HUGZ asks one node after the other: that is a vote', () => {
    const stage = new ClientStage().connect('a').connect('b').pass(3500);
    expect(stage.news).toEqual(['ask a', 'ask b', 'ask a']);
  });

  it('says once that no node serves, if none has since the start', () => {
    const never = new ClientStage().connect('a').pass(20_000);
    expect(never.news.filter((line) => line === 'unserved')).toEqual(['unserved']);
    expect(ClientStage.synced().cut('a').cut('b').pass(20_000).news).not.toContain('unserved');
  });

  it('drops the answer to a vote, and asks again after HUGZ', () => {
    const stage = new ClientStage().connect('a').pass(1000).snapshot({ '/x': 'too early' });
    expect(stage.map).toEqual({});
    expect(stage.hugz('a').snapshot({ '/x': '1' }).map).toEqual({ '/x': '1' });
    expect(stage.news).toEqual(['ask a', 'ask a', 'replaced 0 > 1', 'synced a']);
  });

  it('begins anew after five seconds of silence, with the other node', () => {
    const stage = ClientStage.synced({ '/x': '1' }).pass(4999);
    expect(stage.news).toEqual([]);
    stage.pass(1);
    expect(stage.news).toEqual(['lost a silent']);
    expect(stage.pass(250).news).toEqual(['ask b']);
    stage.hugz('b').snapshot({ '/x': '2' }, '2.0');
    expect(stage.news).toEqual(['ask b', 'replaced 1 > 1', 'synced b']);
  });

  it('HUGZ each second is no silence, nor are updates', () => {
    const stage = ClientStage.synced().pass(60_000, 'a');
    expect(stage.news).toEqual([]);
    stage.pass(4000).publish('a', '/x', '1.1', '1').pass(4000);
    expect(stage.news).toEqual(['/x: undefined > 1']);
  });

  it('goes at once to a node that has said HUGZ lately when a connection is closed', () => {
    const stage = ClientStage.synced().hugz('b').pass(1000).cut('a');
    expect(stage.news).toEqual(['lost a closed', 'ask b']);
  });

  it('does not go to a node whose HUGZ is old, or came on a connection that is gone', () => {
    const stage = ClientStage.synced().hugz('b').pass(3000).cut('a');
    expect(stage.news).toEqual(['lost a closed']);
    const other = ClientStage.synced().hugz('b').cut('b').connect('b').cut('a');
    expect(other.news).toEqual(['lost a closed']);
  });

  it('stays with a node that is alive when another one says HUGZ (a split)', () => {
    const stage = ClientStage.synced().hugz('b').hugz('a').hugz('b');
    expect(stage.news).toEqual([]);
  });

  it('begins anew if the snapshot ends early, or does not go on although the node says HUGZ', () => {
    const stage = new ClientStage({ endpoints: 1 }).connect('a').hugz('a').sync('/x', '1.1', '1');
    stage.askFails();
    expect(stage.news).toEqual(['ask a']);
    expect(stage.hugz('a').news).toEqual(['ask a']);
    stage.pass(29_999, 'a');
    expect(stage.news).toEqual([]);
    expect(stage.pass(1, 'a').hugz('a').news).toEqual(['ask a']);
    stage.snapshot({ '/y': '2' });
    expect(stage.map).toEqual({ '/y': '2' });
  });

  it('a node that is switched back is followed again', () => {
    const stage = ClientStage.synced({ '/x': '1' });
    stage.cut('a').connect('a').hugz('b').snapshot({ '/x': '2' }, '2.0');
    stage.cut('b').connect('b').hugz('a').snapshot({ '/x': '3' }, '3.0');
    expect(stage.map).toEqual({ '/x': '3' });
    expect(stage.client.current).toBe(0);
  });

  it('fails when every node has refused its key twice', () => {
    const stage = new ClientStage().refuseKey('a').refuseKey('a').refuseKey('b');
    expect(stage.news).toEqual([]);
    expect(stage.refuseKey('b').news).toEqual(['failed ERR_MDP_KEY_REFUSED']);
    expect(stage.client.dueAt).toBe(Infinity);
  });
});

describe('the client of a map: its changes (D50, D53, D56)', () => {
  it('sends a change to both nodes; it is done when its uuid is published', () => {
    const stage = ClientStage.synced({}).take('a').take('b').set('s', '/x', '1');
    expect(stage.news).toEqual(['send /x=1 #1 to a', 'send /x=1 #1 to b']);
    stage.publish('a', '/x', '1.1', '0').publish('a', '/other', '1.2', '1', 's');
    expect(stage.news).toEqual(['/x: undefined > 0', '/other: undefined > 1']);
    stage.echo('a', 's', '1.3');
    expect(stage.news).toEqual(['/x: 0 > 1', 's done']);
    expect(stage.client.outstanding).toBe(0);
  });

  it('waits until the node has subscribed to changes (a slow joiner)', () => {
    const stage = ClientStage.synced({}).set('s', '/x', '1').set('t', '/y', '2');
    expect(stage.news).toEqual([]);
    expect(stage.take('a').news).toEqual(['send /x=1 #1 to a', 'send /y=2 #2 to a']);
  });

  it('sends it again with the same uuid on a connection that is new', () => {
    const stage = ClientStage.synced({}).take('a').set('s', '/x', '1');
    expect(stage.cutWriter('a').take('a').news).toEqual(['send /x=1 #1 to a', 'send /x=1 #1 to a']);
    expect(stage.sends('s')).toBe(2);
  });

  it('sends it again with the same uuid after a failover; the echo has another number', () => {
    const stage = ClientStage.synced({}).take('a').take('b').set('s', '/x', '1');
    stage.cut('a').hugz('b');
    stage.told = [];
    stage.snapshot({ '/x': '1' }, '2.1');
    expect(stage.news).toEqual([
      'replaced 0 > 1',
      'synced b',
      'send /x=1 #1 to a',
      'send /x=1 #1 to b',
    ]);
    expect(stage.echo('b', 's', '2.2').news).toEqual(['s done']);
  });

  it('an echo from a node that it does not follow yet is done when the map shows it', () => {
    const stage = ClientStage.synced({}).take('a').take('b').set('s', '/x', '1').cut('a');
    stage.echo('b', 's', '2.1').hugz('b');
    expect(stage.news).not.toContain('s done');
    expect(stage.snapshot({ '/x': '1' }, '2.1').news.slice(-1)).toEqual(['s done']);
  });

  it('an echo during the snapshot is done when the map shows it', () => {
    const stage = new ClientStage({ endpoints: 1 }).connect('a').take('a').set('s', '/x', '1');
    stage.hugz('a').echo('a', 's', '1.5');
    expect(stage.news).not.toContain('s done');
    expect(stage.end('1.4').news.slice(-1)).toEqual(['s done']);
    expect(stage.map).toEqual({ '/x': '1' });
  });

  it('the echo of a later change of the same key stands for the earlier ones', () => {
    const stage = ClientStage.synced({}).take('a');
    stage.set('s', '/x', '1').set('t', '/y', '2').set('u', '/x', '3').set('v', '/x', '4');
    stage.told = [];
    stage.echo('a', 'u', '1.1');
    expect(stage.news).toEqual(['/x: undefined > 3', 's done', 'u done']);
    expect(stage.echo('a', 'v', '1.2').news).toEqual(['/x: 3 > 4', 'v done']);
  });

  it('without an echo it times out: what was sent may have been made', () => {
    const stage = ClientStage.synced({}).take('a').set('s', '/x', '1', 500).pass(500, 'a');
    expect(stage.news).toEqual(['send /x=1 #1 to a', 's ERR_MDP_TIMEOUT']);
    expect(stage.echo('a', 's', '1.1').news).toEqual(['/x: undefined > 1']);
  });

  it('if no node took it, nothing was sent', () => {
    const stage = ClientStage.synced({}).set('s', '/x', '1', 500).pass(500);
    expect(stage.news).toEqual(['s ERR_MDP_UNREACHABLE']);
  });

  it('a change that is safe and that its own map does not show in time, or at its end, is not done', () => {
    const stage = ClientStage.synced({}).take('b').set('s', '/x', '1', 500).echo('b', 's', '2.1');
    stage.told = [];
    expect(stage.pass(500).news).toEqual(['s ERR_MDP_TIMEOUT']);
    stage.set('t', '/x', '2').echo('b', 't', '2.2');
    stage.told = [];
    stage.client.end(sdkError('ERR_MDP_CLOSED', 'closed'));
    expect(stage.news).toEqual(['t ERR_MDP_CLOSED']);
  });

  it('the uuids of its changes are of version 8: a number that grows, and then the writer (D121)', () => {
    const uuids = [1, 2].map((writer) => {
      const stage = ClientStage.synced({}, { writer }).set('s', '/x', '1').set('t', '/y', '1');
      return [stage.uuid('s'), stage.uuid('t')];
    });
    expect(uuids).toEqual([
      ['0000000000018c128001010101010101', '0000000000028c128001010101010101'],
      ['0000000000018c128002020202020202', '0000000000028c128002020202020202'],
    ]);
  });

  it('each has a uuid of its own, and only so many wait', () => {
    const stage = ClientStage.synced({}, { changesMax: 2 });
    stage.set('s', '/x', '1').set('t', '/x', '1').set('u', '/x', '1');
    expect(stage.news).toEqual(['u refused']);
    expect(stage.uuid('s')).not.toBe(stage.uuid('t'));
  });
});

describe('the client of a map: hostile nodes', () => {
  it('a snapshot without end is over the limit, also if it repeats one key', () => {
    const stage = new ClientStage({ bytesMax: 1000 }).connect('a').hugz('a');
    stage.told = [];
    for (let index = 0; index < 100; index++) stage.sync('/same', '1.1', 'x');
    expect(stage.news).toEqual(['failed ERR_MAP_LIMIT']);
  });

  it('so are updates without end while a snapshot does not arrive, and a map that grows', () => {
    const stage = new ClientStage({ bytesMax: 1000 }).connect('a').hugz('a');
    for (let index = 1; index < 100; index++) stage.publish('a', '/same', `1.${index}`, 'x');
    expect(stage.news).toEqual(['ask a']);
    for (let index = 1; index < 100; index++) stage.publish('a', `/${index}`, `1.${index}`, 'x');
    expect(stage.news).toEqual(['failed ERR_MAP_LIMIT']);
    const other = ClientStage.synced({}, { bytesMax: 1000 }).set('s', '/x', '1');
    other.publish('a', '/big', '1.1', 'x'.repeat(1000));
    expect(other.news).toEqual([
      `/big: undefined > ${'x'.repeat(1000)}`,
      's ERR_MAP_LIMIT',
      'failed ERR_MAP_LIMIT',
    ]);
  });

  it('a key that is overwritten again and again takes its place once', () => {
    const stage = ClientStage.synced({}, { bytesMax: 1000 });
    for (let index = 1; index < 100; index++) {
      stage.publish('a', '/x', `1.${index}`, 'y'.repeat(99));
    }
    expect(stage.client.bytes).toBe(2 + 99 + 128);
    expect(stage.publish('a', '/x', '1.100', '').client.bytes).toBe(0);
  });
});

/** The schemas of the API's answers. Only the document needs them: elsewhere they are types. */
import * as node from './node-answers.js';
import * as stored from './stored-answers.js';
import { pageOf } from './words.js';

const ServicePage = pageOf(node.Service);
const WorkerPage = pageOf(node.Worker);
const MapPage = pageOf(node.MapEntry);
const StoredRequestPage = pageOf(stored.StoredRequest).extend({ scanned: stored.scanned });
const RequestGroupPage = pageOf(stored.RequestGroup).extend({ scanned: stored.scanned });
const SchedulePage = pageOf(stored.Schedule);

/** The schemas, by the names that the document has for them. */
export const SCHEMAS = {
  Error: node.Failure,
  Reason: node.Reason,
  Ready: node.Ready,
  NotReady: node.NotReady,
  Refusals: node.Refusals,
  Health: node.Health,
  Status: node.Status,
  Service: node.Service,
  ServicePage,
  Contracts: node.Contracts,
  Worker: node.Worker,
  WorkerPage,
  ClientLoad: node.ClientLoad,
  Clients: node.Clients,
  MapEntry: node.MapEntry,
  MapPage,
  HaChange: node.HaChange,
  Ha: node.HaStatus,
  Overview: node.Overview,
  ServiceHistory: node.ServiceHistory,
  DayHistory: node.DayHistory,
  NodeEvent: node.NodeEvent,
  StoredRequest: stored.StoredRequest,
  StoredRequestPage,
  RequestGroup: stored.RequestGroup,
  RequestGroupPage,
  SchedulePage,
  RequestHistory: stored.RequestHistory,
  Stored: stored.StoredAnswer,
  Accepted: stored.Accepted,
  ServiceFailure: node.ServiceFailure,
  RequestFailure: node.RequestFailure,
  Bodies: stored.Bodies,
  StoredCounts: stored.StoredCounts,
  Changed: stored.Changed,
  Paused: stored.Paused,
  Limited: stored.Limited,
  Fired: stored.Fired,
  BulkResult: stored.BulkResult,
};

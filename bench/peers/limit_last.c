// limit.c with one line moved: the bridge comes up after all its ports. While it is down no port forwards, so that the
// multicast of each port that comes up is not flooded to all the others, which is what makes the naive order cost n*n
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sched.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <time.h>
static char buf[8192]; static struct nlmsghdr*h; 
static void start(int type,int flags,void*body,int len){memset(buf,0,512);h=(void*)buf;h->nlmsg_type=type;h->nlmsg_flags=NLM_F_REQUEST|NLM_F_ACK|flags;h->nlmsg_len=NLMSG_LENGTH(len);memcpy(NLMSG_DATA(h),body,len);h->nlmsg_len=NLMSG_ALIGN(h->nlmsg_len);}
static struct rtattr* attr(int t,const void*d,int l){struct rtattr*a=(void*)(buf+h->nlmsg_len);a->rta_type=t;a->rta_len=RTA_LENGTH(l);if(l)memcpy(RTA_DATA(a),d,l);h->nlmsg_len+=RTA_ALIGN(a->rta_len);return a;}
static void end(struct rtattr*a){a->rta_len=buf+h->nlmsg_len-(char*)a;}
static void go(int fd,const char*what){ if(send(fd,buf,h->nlmsg_len,0)<0){perror(what);exit(1);} char r[8192];int n=recv(fd,r,sizeof r,0);struct nlmsghdr*x=(void*)r;struct nlmsgerr*e=NLMSG_DATA(x);(void)n;if(x->nlmsg_type!=NLMSG_ERROR||e->error){fprintf(stderr,"%s: %s\n",what,strerror(-e->error));exit(1);}}
static double now(){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec+t.tv_nsec/1e9;}
int main(int c,char**v){int N=atoi(v[1]);double t0=now();int self=open("/proc/self/ns/net",O_RDONLY);int fd=socket(AF_NETLINK,SOCK_RAW,0);
 struct ifinfomsg i={0};start(RTM_NEWLINK,NLM_F_CREATE|NLM_F_EXCL,&i,sizeof i);attr(IFLA_IFNAME,"br0",4);struct rtattr*li=attr(IFLA_LINKINFO|NLA_F_NESTED,0,0);attr(IFLA_INFO_KIND,"bridge",6);end(li);go(fd,"br");int br=if_nametoindex("br0");
 {struct ifaddrmsg a={AF_INET,16,0,0,br};start(RTM_NEWADDR,NLM_F_CREATE|NLM_F_EXCL,&a,sizeof a);unsigned ip=htonl(0x0a320001);attr(IFA_LOCAL,&ip,4);attr(IFA_ADDRESS,&ip,4);go(fd,"bra");}
 double tns=0,tlink=0,tin=0;
 for(int k=1;k<=N;k++){char p[64],hn[16],pn[16];sprintf(p,"/run/netns/n%d",k);double a=now();close(open(p,O_RDONLY|O_CREAT|O_EXCL,0));unshare(CLONE_NEWNET);mount("/proc/thread-self/ns/net",p,"none",MS_BIND,0);int nfd=open("/proc/thread-self/ns/net",O_RDONLY);int s=socket(AF_NETLINK,SOCK_RAW,0);setns(self,CLONE_NEWNET);double b=now();
  struct ifinfomsg m={0};m.ifi_flags=m.ifi_change=IFF_UP;start(RTM_NEWLINK,NLM_F_CREATE|NLM_F_EXCL,&m,sizeof m);sprintf(hn,"v%d",k);sprintf(pn,"p%d",k);attr(IFLA_IFNAME,hn,strlen(hn)+1);attr(IFLA_MASTER,&br,4);li=attr(IFLA_LINKINFO|NLA_F_NESTED,0,0);attr(IFLA_INFO_KIND,"veth",4);struct rtattr*d=attr(IFLA_INFO_DATA|NLA_F_NESTED,0,0);struct rtattr*pe=attr(VETH_INFO_PEER|NLA_F_NESTED,0,0);struct ifinfomsg*pm=(void*)(buf+h->nlmsg_len);memset(pm,0,sizeof *pm);pm->ifi_index=2;h->nlmsg_len+=sizeof *pm;attr(IFLA_IFNAME,pn,strlen(pn)+1);attr(IFLA_NET_NS_FD,&nfd,4);end(pe);end(d);end(li);go(fd,"veth");double e=now();
  struct ifinfomsg u={0};u.ifi_index=2;u.ifi_flags=u.ifi_change=IFF_UP;start(RTM_NEWLINK,0,&u,sizeof u);go(s,"up");
  struct ifaddrmsg ad={AF_INET,16,0,0,2};start(RTM_NEWADDR,NLM_F_CREATE|NLM_F_EXCL,&ad,sizeof ad);unsigned ip=htonl(0x0a320000+(k/250)*256+k%250+2);attr(IFA_LOCAL,&ip,4);attr(IFA_ADDRESS,&ip,4);go(s,"addr");
  struct rtmsg r={AF_INET,0,0,0,RT_TABLE_MAIN,RTPROT_BOOT,RT_SCOPE_UNIVERSE,RTN_UNICAST};start(RTM_NEWROUTE,NLM_F_CREATE|NLM_F_EXCL,&r,sizeof r);unsigned gw=htonl(0x0a320001);attr(RTA_GATEWAY,&gw,4);go(s,"route");close(s);close(nfd);double f=now();tns+=b-a;tlink+=e-b;tin+=f-e;}
 i.ifi_index=br;i.ifi_flags=i.ifi_change=IFF_UP;start(RTM_NEWLINK,0,&i,sizeof i);go(fd,"brup");
 printf("N=%d total %.1f ms  ns %.1f link %.1f inside %.1f\n",N,(now()-t0)*1e3,tns*1e3,tlink*1e3,tin*1e3);}
